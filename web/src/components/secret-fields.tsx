/** Secrets with their names, as many as a script needs. */
import { useId } from 'preact/hooks';
import { words } from '../i18n/language.ts';
import type { Secret } from '../run/form.ts';
import { FieldProblem, type FieldProps, wrongBy } from './form-field.tsx';
import { SecretValue } from './secret-value.tsx';

interface SecretFieldsProps extends Omit<FieldProps, 'label'> {
  secrets: readonly Secret[];
  onChange: (secrets: readonly Secret[]) => void;
}

export function SecretFields({ secrets, problem, onChange }: SecretFieldsProps) {
  const { run } = words.value;
  const id = useId();
  const wrong = problem === undefined ? {} : wrongBy(id);
  const change = (at: number, part: Partial<Secret>) =>
    onChange(secrets.map((secret, i) => (i === at ? { ...secret, ...part } : secret)));
  return (
    <fieldset class="secrets">
      <legend>{run.secrets}</legend>
      {secrets.map(({ name, value }, i) => (
        <div key={i} class="secret">
          <input
            {...wrong}
            aria-label={run.secretName}
            placeholder={run.secretName}
            autocomplete="off"
            spellcheck={false}
            value={name}
            onInput={({ currentTarget }) => change(i, { name: currentTarget.value })}
          />
          <SecretValue
            {...wrong}
            label={run.secretValue(name)}
            value={value}
            onChange={(value) => change(i, { value })}
          />
          <button type="button" onClick={() => onChange(secrets.toSpliced(i, 1))} aria-label={run.removeSecret(name)}>
            ✕
          </button>
        </div>
      ))}
      <FieldProblem id={id} problem={problem} />
      <button type="button" onClick={() => onChange([...secrets, { name: '', value: '' }])}>
        {run.addSecret}
      </button>{' '}
      <span class="muted">{run.secretsWhy}</span>
    </fieldset>
  );
}
