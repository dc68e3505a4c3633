/** Which screen an address is, and how one gets from one to another without loading the page anew. */
import { computed, signal } from '@preact/signals';

export type Screen =
  | { name: 'commands' }
  | { name: 'command'; uuid: string }
  | { name: 'run' }
  | { name: 'system' }
  | { name: 'inspector' }
  | { name: 'nothing' };

const address = signal(new URL(location.href));

/** The parameters behind the `?` of the address. */
export const search = computed(() => address.value.search);

export const screen = computed((): Screen => {
  const { pathname } = address.value;
  if (pathname === '/') return { name: 'commands' };
  if (pathname === '/run') return { name: 'run' };
  if (pathname === '/system') return { name: 'system' };
  if (pathname === '/inspector') return { name: 'inspector' };
  const uuid = /^\/commands\/([^/]+)$/.exec(pathname)?.[1];
  if (uuid !== undefined) return { name: 'command', uuid: decodeURIComponent(uuid) };
  return { name: 'nothing' };
});

export const pathOfCommand = (uuid: string) => `/commands/${encodeURIComponent(uuid)}`;

/** @param replaces whether one can't go back to where one was. */
export function navigate(to: string, { replaces = false } = {}): void {
  const next = new URL(to, location.href);
  if (next.href === address.value.href) return;
  if (replaces) history.replaceState(null, '', next);
  else history.pushState(null, '', next);
  address.value = next;
}

/** Follows links of our own by `navigate`, all others as browsers do. */
export function followLinks(): void {
  addEventListener('popstate', () => {
    address.value = new URL(location.href);
  });
  document.addEventListener('click', (event) => {
    const link = (event.target as Element).closest('a');
    const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
    if (link === null || !isPlain || event.defaultPrevented || !link.hasAttribute('data-screen')) return;
    event.preventDefault();
    navigate(link.href);
  });
}
