/** An address that is no screen. */
import { words } from '../i18n/language.ts';

export function NothingScreen() {
  const { notFound } = words.value;
  return (
    <section class="centred">
      <h1>{notFound.title}</h1>
      <a href="/" data-screen>
        {notFound.back}
      </a>
    </section>
  );
}
