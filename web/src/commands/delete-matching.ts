/** Deletes all commands that the filters mean, once the person has seen how many and said so. */
import type { ListQuery } from '../../../src/client/index.ts';
import { confirmed } from '../confirm.ts';
import { words } from '../i18n/language.ts';
import { complain, sentenceOf, tell } from '../notices.ts';
import { client, withSession } from '../session.ts';

/** @param query filters of the list, at least one. */
export async function deleteMatching(query: ListQuery): Promise<void> {
  const { bulk } = words.value;
  try {
    const { deleted, kept } = await withSession(client.value.prune(query, { dryRun: true }));
    if (deleted === 0) return tell(bulk.nothingMatching);
    const stay = bulk.matchingKept(kept.live, kept.pinned);
    const body = stay === '' ? bulk.matchingBody : `${bulk.matchingBody} (${stay}.)`;
    if (!(await confirmed({ title: bulk.matchingTitle(deleted), body, action: bulk.delete }))) return;
    const done = await withSession(client.value.prune(query));
    tell(bulk.deleted(done.deleted));
  } catch (error) {
    complain(sentenceOf(error));
  }
}
