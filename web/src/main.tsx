/** Starts the page. */
import { render } from 'preact';
import { App } from './app.tsx';
import { listenToKeys } from './keys.ts';
import { followLinks } from './router.ts';
import { enter } from './session.ts';
import './theme.ts';

followLinks();
listenToKeys();
render(<App />, document.getElementById('app') as HTMLElement);
void enter();
