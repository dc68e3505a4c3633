/** Draining a node: before it is stopped, so that nothing that it runs is cut off. */
import { setTimeout as delay } from 'node:timers/promises';
import { type Node, Refused, type Shellvisor, Unreachable } from '../client/index.ts';
import { Undone, WrongUsage } from './errors.ts';

export interface DrainOptions {
  /** Whether to wait until it has no commands any more. */
  wait?: true;
  /** How long, in ms; as long as it takes unless given. */
  timeout?: number;
  /** Whether it is to take commands again. */
  undo?: true;
}

/** Between two looks at the node, in ms. */
const LOOK_MS = 500;
/** How long the server may be away while we wait, in ms: it may be starting again. */
const PATIENCE_MS = 60_000;

/** @returns the node as it is then. @throws Undone when it is not drained in time. */
export async function drain(client: Shellvisor, name: string, { wait, timeout, undo }: DrainOptions): Promise<Node> {
  if (undo && (wait || timeout !== undefined)) throw new WrongUsage('--undo has nothing to wait for');
  if (timeout !== undefined && !wait) throw new WrongUsage('--timeout goes with --wait');
  const deadline = performance.now() + (timeout ?? Number.POSITIVE_INFINITY);
  // Behind a load balancer each request may be answered by another node; its id means the same one to all of them.
  const { id } = await look(client, name);
  await (undo ? client.undrain(id) : client.drain(id));
  let node = await look(client, id);
  let heardAt = performance.now();
  while (wait && isBusy(node)) {
    if (performance.now() > deadline) throw new Undone(`node ${node.name} still has ${amount(node)}`);
    await delay(LOOK_MS);
    try {
      node = await look(client, id);
      heardAt = performance.now();
    } catch (error) {
      if (!mayPass(error) || performance.now() - heardAt > PATIENCE_MS) throw error;
    }
  }
  if (node.state === 'lost') throw new Undone(`node ${node.name} was lost, with what it ran`);
  if (wait && node.state === 'up')
    throw new Undone(`node ${node.name} takes commands again: somebody has undone its drain`);
  return node;
}

/** @throws Undone when there is no such node. */
async function look(client: Shellvisor, id: string): Promise<Node> {
  const nodes = await client.nodes();
  const found = nodes.find((node) => (id === 'self' ? node.is_self : node.id === id));
  if (found === undefined) throw new Undone(`there is no node ${id}; \`shellvisor nodes\` lists those that there are`);
  return found;
}

const isBusy = ({ state }: Node) => state === 'draining' || state === 'quiet';

const amount = ({ executing, waiting }: Node) =>
  `${executing + waiting} ${executing + waiting === 1 ? 'command' : 'commands'}`;

/** Whether the server may answer again in a moment. */
const mayPass = (error: unknown) => error instanceof Unreachable || (error instanceof Refused && error.status >= 500);
