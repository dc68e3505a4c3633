import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import t, { type Test } from 'tap';
import { inTurn } from '../../chaos/in-turn.ts';
import { killNode, startNodes, type TestNodes } from '../helpers/nodes.ts';
import { type TestServer, temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

/** How many commands: with EXACTLY_ONCE=5000 as many as we promise, which takes a minute. */
const COUNT = Number(process.env.EXACTLY_ONCE ?? 2000);
/** How many requests are under way at once. */
const AT_ONCE = 48;

/** A script appends its number to a file that all share: one write(2) to the end of it, so that no line is lost. */
const body = (i: number, trail: string) => ({
  script: 'echo "$1" >> "$2"; echo "out $1"',
  args: [`${i}`, trail],
  description: `${i}`,
});

interface Row {
  i: number;
  status: string;
  reason: string;
  node: string;
  reruns: number;
  output: string;
}

/** Waits until all have ended. @returns them, by number. */
async function untilEnded(t: Test, { databaseUrl }: TestNodes): Promise<Map<number, Row>> {
  const client = new Client(databaseUrl);
  await client.connect();
  t.teardown(() => client.end());
  await until('all have ended', async () => {
    const { rows } = await client.query(`SELECT FROM commands WHERE status IN ('QUEUED', 'EXECUTING') LIMIT 1`);
    return rows.length === 0;
  });
  const { rows } = await client.query<Row>(
    `SELECT description::int AS i, status, reason, node, reruns,
       convert_from(coalesce(string_agg(data, '' ORDER BY byte_offset), ''), 'UTF8') AS output
     FROM commands c LEFT JOIN command_output o ON o.command_id = c.id GROUP BY c.id`,
  );
  await until('nothing is left in the queue', async () => {
    const { rows: jobs } = await client.query('SELECT FROM shellvisor_queue.job');
    return jobs.length === 0;
  });
  return new Map(rows.map((row) => [row.i, row]));
}

/** How often each was run. */
function runsIn(trail: string): Map<number, number> {
  const runs = new Map<number, number>();
  for (const line of readFileSync(trail, 'latin1').trim().split('\n')) {
    runs.set(Number(line), (runs.get(Number(line)) ?? 0) + 1);
  }
  return runs;
}

t.test('commands that are sent to three nodes run once each', async (t) => {
  const count = COUNT;
  const cluster = await startNodes(t, ...Array.from({ length: 3 }, () => ({ SHELLVISOR_MAX_PARALLEL: '8' })));
  const { nodes } = cluster;
  const trail = join(temporaryFolder(t), 'trail');
  await inTurn(AT_ONCE, count, async (i) => {
    const node = nodes[i % nodes.length] as TestServer;
    const { status } = await node.request('POST', '/api/v1/commands', body(i, trail));
    if (status !== 201) throw new Error(`command ${i} was answered with ${status}`);
  });
  const ended = await untilEnded(t, cluster);
  t.equal(ended.size, count);
  const runs = runsIn(trail);
  t.equal(runs.size, count, 'each has run');
  t.same(
    [...runs].filter(([, times]) => times !== 1),
    [],
    'once',
  );
  const wrong = [...ended.values()].filter(
    ({ i, status, output, reruns }) => status !== 'EXECUTED' || output !== `out ${i}\n` || reruns !== 0,
  );
  t.same(wrong, [], 'each has printed what it prints');
  t.equal(new Set([...ended.values()].map(({ node }) => node)).size, 3, 'all nodes have taken some');
});

t.test(
  'a kill -9 of a node in the middle has none run twice that does not want that, and none wait for ever',
  async (t) => {
    const count = 400;
    const slots = 8;
    const settings = { SHELLVISOR_MAX_PARALLEL: `${slots}`, SHELLVISOR_NODE_LOST_MS: '5000' };
    const cluster = await startNodes(t, settings, settings, settings);
    const [first, ...others] = cluster.nodes as [TestServer, ...TestServer[]];
    const trail = join(temporaryFolder(t), 'trail');
    const mayRerun = (i: number) => i % 2 === 0;
    const acknowledged: number[] = [];
    let killing: Promise<void> | undefined;
    await inTurn(AT_ONCE, count, async (i) => {
      if (i === count / 2) killing = killNode(first);
      const node = killing === undefined && i % 3 === 0 ? first : (others[i % others.length] as TestServer);
      const given = { ...body(i, trail), ...(mayRerun(i) && { on_lost: 'rerun' }) };
      // Who is killed answers nothing; whether it has stored the command nobody knows then.
      const answer = await node.request('POST', '/api/v1/commands', given).catch(() => undefined);
      if (answer?.status === 201) acknowledged.push(i);
    });
    await killing;
    t.ok(acknowledged.length >= count - AT_ONCE, `${acknowledged.length} were acknowledged`);
    const ended = await untilEnded(t, cluster);
    t.same(
      acknowledged.filter((i) => !ended.has(i)),
      [],
      'what was acknowledged is stored',
    );
    const runs = runsIn(trail);
    const tooOften = [...runs].filter(([i, times]) => times > 1 + (ended.get(i)?.reruns ?? 0));
    t.same(tooOften, []);
    const isRight = ({ i, status, reason, node, reruns, output }: Row) => {
      if (status === 'FAILED') return reason === 'lost' && node === 'n1' && !mayRerun(i) && reruns === 0;
      // What the run before has printed stays.
      const mayPrint = reruns === 0 ? [`out ${i}\n`] : [`out ${i}\n`, `out ${i}\nout ${i}\n`];
      return status === 'EXECUTED' && runs.has(i) && mayPrint.includes(output) && (mayRerun(i) || reruns === 0);
    };
    const rows = [...ended.values()];
    t.same(
      rows.filter((row) => !isRight(row)),
      [],
    );
    const lost = rows.filter(({ status }) => status === 'FAILED');
    t.ok(lost.length <= slots, `${lost.length} are lost`);
  },
);
