import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { eventsOf, printedBy, type ServerEvent } from '../helpers/events.ts';
import { setup } from '../helpers/launcher.ts';
import { oracleScript, wholeOutput } from '../helpers/oracle.ts';
import { serverPid } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

const sha = (bytes: string | Buffer) => createHash('sha256').update(bytes).digest('hex');

t.test('who follows a command over a kill and an upgrade of the server gets every byte of it once', async (t) => {
  const { server, submit, folder } = await setup(t);
  const spec = { side: join(folder, 'script'), lines: 2500, filler: 100, pauseEvery: 10, pauseMs: 10, exitCode: 3 };
  const uuid = await submit('/api/v1/durables/commands', oracleScript(spec));
  const found: ServerEvent[] = [];
  let connections = 0;
  const follow = async () => {
    const lastId = found.at(-1)?.id;
    const answer = await fetch(`${server.url}/api/v1/commands/${uuid}/output`, {
      headers: { accept: 'text/event-stream', ...(lastId !== undefined && { 'last-event-id': lastId }) },
    });
    if (answer.status === 503) throw new Error('the server is not ready yet');
    if (answer.status !== 200) return answer.status;
    connections++;
    for await (const event of eventsOf(answer)) found.push(event);
    return answer.status;
  };
  const following = until('the follower has seen the end', () =>
    follow().then(
      (status) => status === 204,
      () => false,
    ),
  );

  const printedLines = () =>
    existsSync(`${spec.side}.stdout`) ? readFileSync(`${spec.side}.stdout`, 'latin1').split('\n').length : 0;
  for (const [lines, end] of [
    [200, (pid: number) => process.kill(pid, 'SIGKILL')],
    [600, () => server.child.kill('SIGHUP')],
  ] as const) {
    await until(
      'it has printed more, and some of that has come',
      () => printedLines() > lines && found.length > lines / 50,
    );
    const pid = await serverPid(server);
    end(pid);
    await until('another server runs', async () => (await serverPid(server)) !== pid);
  }
  await following;
  for (const stream of ['stdout', 'stderr'] as const) {
    t.equal(sha(printedBy(found, stream)), sha(wholeOutput(spec, stream)), stream);
  }
  const ends = found.filter(({ event }) => event === 'end');
  t.match(ends, [{ data: { status: 'FAILED', reason: 'exit', exit_code: 3 } }]);
  t.equal(ends.length, 1);
  t.ok(connections > 1, 'it came again');
});
