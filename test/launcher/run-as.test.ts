import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { launch, serverPid, startServer, temporaryFolder } from '../helpers/server.ts';

const isRoot = process.getuid?.() === 0;

/** Why a server with this environment does not start. */
async function refusal(env: Record<string, string>) {
  const server = launch(t, { DATA_DIR: join(temporaryFolder(t), 'data'), LOG_LEVEL: 'silent', ...env });
  t.match(await server.exited, { code: 1, signal: null });
  return server.stderr();
}

t.test('a user that scripts can not run as keeps the server from starting, told in one line', async (t) => {
  const why = isRoot
    ? 'there is no user no-such-user'
    : 'only a server that runs as root can run scripts as another user';
  const RUN_AS = 'SHELLVISOR_RUN_AS=no-such-user';
  t.equal(await refusal({ SHELLVISOR_RUN_AS: 'no-such-user' }), `shellvisor: ${RUN_AS} is not possible: ${why}\n`);
});

if (isRoot) {
  t.test('scripts of another user reach neither server nor database nor files of the server', async (t) => {
    const DATA_DIR = temporaryFolder(t);
    chmodSync(DATA_DIR, 0o711);
    const server = await startServer(t, { DATA_DIR, SHELLVISOR_RUN_AS: 'daemon' });
    t.notMatch(server.stderr(), 'scripts run as root');
    t.match((await server.request('GET', '/manage/ready')).body, {
      scripts: 'child_process as daemon in the launcher',
    });
    const tokens = join(DATA_DIR, 'tokens');
    writeFileSync(tokens, 'a token', { mode: 0o600 });
    const socket = join(
      DATA_DIR,
      'postgres',
      readdirSync(join(DATA_DIR, 'postgres')).find((name) => name.startsWith('.s')) ?? '',
    );
    const script = `
      id -un
      for pid in $1 $2; do
        for file in environ mem maps fdinfo/0; do head -c 1 /proc/$pid/$file && echo "open: $file"; done
        for link in cwd exe fd/0; do readlink /proc/$pid/$link && echo "open: $link"; done
        kill -0 $pid && echo "may be signalled"
      done 2>/dev/null
      cat "$3" && echo "open: tokens"
      ls "$(dirname "$4")" && echo "open: the folder of PostgreSQL"
      [[ -e $4 ]] && echo "reached: its socket"
      exit 0`;
    const args = [`${server.child.pid}`, `${await serverPid(server)}`, tokens, socket];
    const { body } = await server.request('POST', '/api/v1/commands?wait=60', {
      script: `{ ${script}; } 2>/dev/null`,
      args,
    });
    t.match(body, { status: 'EXECUTED', output: 'daemon\n' });
  });

  t.test('the user of the embedded PostgreSQL is refused: it would let them in', async (t) => {
    // Whichever of the two runs it here.
    const users = readFileSync('/etc/passwd', 'utf8');
    const user = /^postgres:/m.test(users) ? 'postgres' : 'nobody';
    const DATA_DIR = temporaryFolder(t);
    chmodSync(DATA_DIR, 0o711);
    t.match(
      await refusal({ DATA_DIR, SHELLVISOR_RUN_AS: user }),
      /^shellvisor: the embedded PostgreSQL runs as the user of SHELLVISOR_RUN_AS, .*; name another one there\n$/,
    );
  });
}
