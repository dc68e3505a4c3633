import t from 'tap';
import { tokenFile, tokenOf } from '../helpers/access.ts';
import { callCli } from '../helpers/cli.ts';
import { createDatabase } from '../helpers/cluster.ts';
import { COMMANDS } from '../helpers/faults.ts';
import { startServer } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

const server = await startServer(t, {
  DATABASE_URL: await createDatabase(t),
  SHELLVISOR_TOKEN_FILE: tokenFile(t, ['ann', 'bob']),
});
const callAs = (name: string, ...args: string[]) =>
  callCli(t, args, { SHELLVISOR_URL: server.url, SHELLVISOR_TOKEN: tokenOf(name) });

t.test('who has sent commands and who has stopped them is told by name', async (t) => {
  const stopped = callAs('ann', 'run', 'echo up; exec sleep 60');
  await until('it runs', () => stopped.stdout() === 'up\n');
  const { body } = await server.request('GET', COMMANDS, undefined, tokenOf('ann'));
  const uuid = body[0].command_uuid;
  t.match(await callAs('bob', 'stop', uuid).ended, { code: 0 });
  t.match(await stopped.ended, { code: 143, stderr: /was stopped by bob/ });
  t.match(await callAs('ann', 'run', 'true').ended, { code: 0 });
  t.match(await callAs('bob', 'run', 'exit 3').ended, { code: 3 });

  const { stdout: shown } = await callAs('bob', 'show', uuid).ended;
  t.match(shown, /^status +STOPPED: was stopped by bob$/m);
  t.match(shown, /^created +\S+Z by ann$/m);
  t.match(await callAs('bob', 'ls').ended, {
    stdout: /^UUID +STATUS +EXIT +CREATED +BY +TOOK +WHAT\n\S+ +FAILED +3 .* ago +bob .*\n\S+ +EXECUTED .* ago +ann /,
  });
  const own = await callAs('bob', 'ls', '--by', 'ann', '--json').ended;
  t.match(JSON.parse(own.stdout), [
    { created_by: 'ann', status: 'EXECUTED' },
    { created_by: 'ann', stopped_by: 'bob' },
  ]);
  t.match(await callAs('bob', 'prune', '--by', 'ann').ended, { code: 0, stdout: '2 deleted\n' });
  t.match(await callAs('bob', 'ls').ended, { stdout: /^UUID.*\n\S+ +FAILED .* bob .*\n$/ });
});
