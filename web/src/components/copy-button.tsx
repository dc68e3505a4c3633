/** Copies a text. Browsers allow that on this machine and over TLS only; elsewhere there is no such button. */
import { words } from '../i18n/language.ts';
import { tell } from '../notices.ts';

export function CopyButton({ text }: { text: string }) {
  // Its type does not know of pages that came over plain HTTP.
  const clipboard = navigator.clipboard as Clipboard | undefined;
  if (clipboard === undefined) return null;
  const copy = async () => {
    await clipboard.writeText(text);
    tell(words.value.copied);
  };
  return (
    <button type="button" onClick={() => void copy()}>
      {words.value.copy}
    </button>
  );
}
