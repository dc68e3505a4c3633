/** What is around every screen: where one can go, and how the page looks. */
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import { isLive } from '../events.ts';
import { switchLanguage, words } from '../i18n/language.ts';
import { useKeys } from '../keys.ts';
import { navigate, screen } from '../router.ts';
import { hasToken, signOut, state } from '../session.ts';
import { switchTheme } from '../theme.ts';
import { Icon } from './icon.tsx';
import { KeysDialog } from './keys-dialog.tsx';

export function Layout({ children }: { children: ComponentChildren }) {
  const { nav } = words.value;
  const [showsKeys, setShowsKeys] = useState(false);
  const isIn = state.value === 'in';
  useKeys([
    { keys: ['?'], does: ({ keys }) => keys.help, run: () => setShowsKeys(true) },
    { keys: ['c'], does: ({ keys }) => keys.toCommands, run: () => navigate('/') },
    { keys: ['n'], does: ({ keys }) => keys.run, run: () => navigate('/run') },
    { keys: ['y'], does: ({ keys }) => keys.system, run: () => navigate('/system') },
    { keys: ['t'], does: ({ keys }) => keys.theme, run: switchTheme },
    { keys: ['l'], does: ({ keys }) => keys.language, run: switchLanguage },
  ]);
  return (
    <div class="page">
      <a class="skip" href="#content">
        {nav.skip}
      </a>
      <header class="bar">
        <a class="brand" href="/" data-screen>
          shellvisor
        </a>
        <nav aria-label={nav.label}>
          {isIn && (
            <>
              <a href="/" data-screen aria-current={screen.value.name === 'commands' ? 'page' : undefined}>
                {nav.commands}
              </a>
              <a href="/run" data-screen aria-current={screen.value.name === 'run' ? 'page' : undefined}>
                {nav.run}
              </a>
              <a href="/system" data-screen aria-current={screen.value.name === 'system' ? 'page' : undefined}>
                {nav.system}
              </a>
            </>
          )}
          <a href="/docs/">{nav.docs}</a>
        </nav>
        {isIn && <Live />}
        <div class="tools">
          <button
            type="button"
            class="quiet"
            aria-label={nav.switchTheme}
            title={nav.switchTheme}
            onClick={switchTheme}
          >
            <Icon name="theme" />
          </button>
          <button type="button" class="quiet" title={nav.switchLanguage} onClick={switchLanguage}>
            {nav.otherLanguage}
          </button>
          <button
            type="button"
            class="quiet wide-only"
            aria-label={nav.keys}
            title={`${nav.keys} (?)`}
            onClick={() => setShowsKeys(true)}
          >
            <Icon name="keys" />
          </button>
          {hasToken.value && (
            <button type="button" class="quiet" aria-label={nav.signOut} title={nav.signOut} onClick={() => signOut()}>
              <Icon name="out" />
            </button>
          )}
        </div>
      </header>
      <main id="content" tabindex={-1}>
        {children}
      </main>
      {showsKeys && <KeysDialog onClose={() => setShowsKeys(false)} />}
    </div>
  );
}

/** Whether what is seen is what is. */
function Live() {
  const { live } = words.value;
  return (
    <span class={isLive.value ? 'live on' : 'live'} role="status">
      <span>{isLive.value ? live.on : live.off}</span>
    </span>
  );
}
