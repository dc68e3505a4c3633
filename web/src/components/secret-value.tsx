/** The value of a secret: never shown, and kept by the page alone, for as long as its form is there. */
import { words } from '../i18n/language.ts';
import type { Wrong } from './form-field.tsx';

export interface SecretValueProps extends Wrong {
  label: string;
  value: string;
  onChange: (value: string) => void;
}

/** A field of one line loses line breaks, which keys have: so what is pasted with some is taken as it is, and can only go as a whole. */
export function SecretValue({ label, value, onChange, ...wrong }: SecretValueProps) {
  const count = value.split('\n').length;
  return (
    <>
      <input
        {...wrong}
        type="password"
        autocomplete="new-password"
        aria-label={label}
        placeholder={label}
        value={value}
        readOnly={count > 1}
        onInput={({ currentTarget }) => onChange(currentTarget.value)}
        onKeyDown={({ key }) => {
          if (count > 1 && (key === 'Backspace' || key === 'Delete')) onChange('');
        }}
        onPaste={(event) => {
          const text = event.clipboardData?.getData('text/plain').replaceAll('\r\n', '\n') ?? '';
          if (!text.includes('\n') && count === 1) return;
          event.preventDefault();
          onChange(text);
        }}
      />
      {count > 1 && (
        <span class="muted" role="status">
          {words.value.run.secretLines(count)}
        </span>
      )}
    </>
  );
}
