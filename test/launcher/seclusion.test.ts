import { chownSync } from 'node:fs';
import t from 'tap';
import { serverPid, startServer, type TestServer, temporaryFolder } from '../helpers/server.ts';

const isRoot = process.getuid?.() === 0;
/** The user `daemon`, where we are root. It may read the checkout and the runtime, wherever these are. */
const DAEMON = { uid: 1, gid: 1 };
const asDaemon = ['setpriv', '--reuid=1', '--regid=1', '--clear-groups']
  .concat(['--inh-caps=+dac_read_search', '--ambient-caps=+dac_read_search', '--securebits=+no_setuid_fixup'])
  .concat('bash', '-c', 'exec 50</etc/passwd; exec "$@"', 'bash');

async function run(server: TestServer, script: string, args: string[] = []) {
  const { status, body } = await server.request('POST', '/api/v1/commands?wait=60', { script, args });
  if (status !== 201) throw new Error(JSON.stringify(body));
  return body;
}

for (const entry of ['launcher/main.ts', 'server.ts'] as const) {
  t.test(`of what a server has, started as ${entry}, its scripts get nothing`, async (t) => {
    const DATA_DIR = temporaryFolder(t);
    if (isRoot) chownSync(DATA_DIR, DAEMON.uid, DAEMON.gid);
    const env = { DATA_DIR, SHELLVISOR_MAX_OPEN_FILES: '1000', SHELLVISOR_MAX_PROCESSES: '900' };
    const server = await startServer(t, env, { entry, before: isRoot ? asDaemon : asDaemon.slice(7) });
    const pid = server.child.pid as number;
    const ours = entry === 'server.ts' ? [pid] : [pid, await serverPid(server)];

    t.test('no descriptor but its own four, of many at once', async (t) => {
      const ends = await Promise.all(Array.from({ length: 32 }, () => run(server, 'exec ls /proc/self/fd')));
      t.same(new Set(ends.map(({ output }) => output)), new Set(['0\n1\n2\n3\n4\n']), '4 is the folder that ls reads');
    });

    t.test('no way to more privileges', async (t) => {
      t.equal((await run(server, 'grep NoNewPrivs /proc/self/status')).output, 'NoNewPrivs:\t1\n');
    });

    t.test('no more open files than the server says, and no more processes', async (t) => {
      // Where its control group can limit them, or else bash.
      const processes =
        '{ ulimit -u; cat "/sys/fs/cgroup$(sed -n s/^0:://p /proc/self/cgroup)/pids.max"; } 2>&1 | grep -x 900';
      t.equal((await run(server, `ulimit -Sn; ulimit -Hn; ${processes}`)).output, '1000\n1000\n900\n');
    });

    t.test('no look into memory, environment and descriptors of its owners', async (t) => {
      const files = ['environ', 'mem', 'maps', 'auxv', 'stack', 'syscall', 'fd/0', 'fdinfo/0'];
      const script = `
        for pid; do
          for file in ${files.join(' ')}; do
            head -c 1 /proc/$pid/$file >/dev/null 2>&1 && echo "open: $pid/$file"
          done
          for link in cwd exe root fd/0 fd/1; do readlink /proc/$pid/$link && echo "open: $pid/$link"; done
        done
        head -c 1 /proc/$$/environ >/dev/null && readlink /proc/$$/fd/0 >/dev/null && echo "its own are open"`;
      const { output } = await run(server, script, ours.map(String));
      t.equal(output, 'its own are open\n');
    });
  });
}
