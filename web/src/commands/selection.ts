/** Which commands a person has selected, and what is done with all of them. */
import { signal } from '@preact/signals';
import { confirmed } from '../confirm.ts';
import { words } from '../i18n/language.ts';
import { complain, sentenceOf, tell } from '../notices.ts';
import { client, withSession } from '../session.ts';

/** The uuids; they stay selected when their rows are out of sight. */
export const selected = signal<ReadonlySet<string>>(new Set());

/** How many requests are under way at once: browsers let no more through to one server. */
const AT_ONCE = 4;

export function clearSelection(): void {
  if (selected.value.size > 0) selected.value = new Set();
}

export function select(uuids: readonly string[], isSelected: boolean): void {
  const changed = new Set(selected.value);
  for (const uuid of uuids) {
    if (isSelected) changed.add(uuid);
    else changed.delete(uuid);
  }
  selected.value = changed;
}

/** Stops all that is selected, once the person has said so again. */
export async function stopSelected(): Promise<void> {
  const { bulk } = words.value;
  const uuids = [...selected.value];
  if (uuids.length === 0) return;
  const asked = { title: bulk.stopTitle(uuids.length), body: bulk.stopBody, action: bulk.stop };
  if (!(await confirmed(asked))) return;
  await forAll(uuids, (uuid) => client.value.stop(uuid), bulk.stopped);
}

/** Deletes all that is selected, once the person has said so again. */
export async function deleteSelected(): Promise<void> {
  const { bulk } = words.value;
  const uuids = [...selected.value];
  if (uuids.length === 0) return;
  const asked = { title: bulk.deleteTitle(uuids.length), body: bulk.deleteBody, action: bulk.delete };
  if (!(await confirmed(asked))) return;
  await forAll(uuids, (uuid) => client.value.remove(uuid), bulk.deleted);
}

/** Those for which it did not work stay selected. */
async function forAll(
  uuids: readonly string[],
  act: (uuid: string) => Promise<void>,
  done: (count: number) => string,
): Promise<void> {
  const failed: unknown[] = [];
  const waiting = [...uuids];
  const work = async () => {
    for (let uuid = waiting.shift(); uuid !== undefined; uuid = waiting.shift()) {
      try {
        await withSession(act(uuid));
        select([uuid], false);
      } catch (error) {
        failed.push(error);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  if (failed.length < uuids.length) tell(done(uuids.length - failed.length));
  if (failed.length > 0) complain(words.value.bulk.failed(failed.length, sentenceOf(failed[0])));
}
