/** Several servers on one database that share the work. */
import type { Test } from 'tap';
import { createDatabase } from './cluster.ts';
import { type LaunchOptions, serverPid, startServer, type TestServer } from './server.ts';
import { until } from './until.ts';

export interface TestNodes {
  /** Such as the nodes have it, unless they are given another one. */
  databaseUrl: string;
  nodes: TestServer[];
  /** Starts one more. */
  add(env?: Record<string, string>, options?: LaunchOptions): Promise<TestServer>;
}

/** Starts nodes, each named `n1`, `n2` and so on, with what is given for each. */
export async function startNodes(t: Test, ...environments: Record<string, string>[]): Promise<TestNodes> {
  return nodesOn(t, await createDatabase(t), environments);
}

/** The same on a database that is there. */
export async function nodesOn(
  t: Test,
  databaseUrl: string,
  environments: readonly Record<string, string>[],
): Promise<TestNodes> {
  const nodes: TestServer[] = [];
  let last = 0;
  const add = async (env: Record<string, string> = {}, options: LaunchOptions = {}) => {
    const name = `n${++last}`;
    const base = { DATABASE_URL: databaseUrl, SHELLVISOR_CLUSTER: 'on', SHELLVISOR_NODE_NAME: name };
    const node = await startServer(t, { ...base, ...env }, options);
    nodes.push(node);
    return node;
  };
  for (const env of environments) await add(env);
  return { databaseUrl, nodes, add };
}

/** Runs a script on a node, or wherever, and waits until its command has this status. @returns its uuid. */
export async function run(node: TestServer, body: object, durable = false): Promise<string> {
  const created = await node.request('POST', `/api/v1/${durable ? 'durables/' : ''}commands`, body);
  if (created.status !== 201) throw new Error(JSON.stringify(created.body));
  return created.body.uuid;
}

/** Waits until a command has this status, as this node tells it. @returns the command. */
export function untilStatus(node: TestServer, uuid: string, status: string, ms?: number) {
  return until(
    `${uuid} is ${status}`,
    async () => {
      const { body } = await node.request('GET', `/api/v1/commands/${uuid}`);
      return body.status === status && body;
    },
    ms,
  );
}

/** Waits until a command has printed something, as this node tells it. */
export function untilOutput(node: TestServer, uuid: string, what: RegExp, ms?: number) {
  return until(
    `${uuid} prints ${what}`,
    async () => what.test((await node.request('GET', `/api/v1/commands/${uuid}`)).body.output),
    ms,
  );
}

/** Ends launcher and server of a node as a power cut would, so that neither can do anything about the other's end. */
export async function killNode(node: TestServer): Promise<void> {
  const pids = [node.child.pid as number, await serverPid(node)];
  for (const signal of ['SIGSTOP', 'SIGKILL']) for (const pid of pids) process.kill(pid, signal);
  await node.exited;
}
