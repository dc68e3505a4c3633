/** What nodes say to each other: over PostgreSQL, one NOTIFY a message. Whoever needs an effect asks again until he sees it. */
import { z } from 'zod';
import type { Claim } from '../claim.ts';
import { type Connection, none } from '../sql/connection.ts';

const CHANNEL = 'shellvisor_nodes';

const message = z.discriminatedUnion('type', [
  /** The node with this number is to stop a command. `by`: the name of whoever wants that. `kill`: by SIGKILL at once. */
  z.object({
    type: z.literal('stop'),
    to: z.number(),
    uuid: z.string(),
    by: z.string().nullable(),
    kill: z.boolean().default(false),
  }),
  /** Something has changed in what is stored of the nodes. */
  z.object({ type: z.literal('nodes') }),
]);
export type ControlMessage = z.infer<typeof message>;

export async function sendControl(db: Connection, what: ControlMessage): Promise<void> {
  await db.query(none`SELECT pg_notify(${CHANNEL}, ${JSON.stringify(message.parse(what))})`);
}

/** Hears what all nodes say, this one too. What a later version says is passed over. */
export async function hearControl(claim: Claim, onMessage: (message: ControlMessage) => void): Promise<void> {
  await claim.listen(CHANNEL, (payload) => {
    const heard = parsed(payload);
    if (heard !== undefined) onMessage(heard);
  });
}

function parsed(payload: string): ControlMessage | undefined {
  try {
    return message.parse(JSON.parse(payload));
  } catch {
    return undefined;
  }
}
