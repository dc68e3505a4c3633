import { existsSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { callCli } from '../helpers/cli.ts';
import { createDatabase } from '../helpers/cluster.ts';
import { launch, serverPid, startServer, temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

/** Asks for a path on a Unix socket. @returns the status. */
function ask(socketPath: string, path: string, headers: Record<string, string> = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, headers: { host: 'localhost', ...headers } }, (answer) => {
      answer.resume();
      resolve(answer.statusCode as number);
    });
    sent.on('error', reject).end();
  });
}

t.test('on a Unix socket the server is for its user alone, and on no port', async (t) => {
  const socket = join(temporaryFolder(t), 'shellvisor.sock');
  const DATABASE_URL = await createDatabase(t);
  const server = await startServer(t, { DATABASE_URL, SHELLVISOR_SOCKET: socket });
  t.match(server.stdout(), `curl -s --unix-socket ${socket} -H`);
  t.match(server.stdout(), `API    http://localhost/api/v1/commands (by ${socket})`);
  t.equal(statSync(socket).mode & 0o777, 0o600);
  t.equal(await ask(socket, '/api/v1/commands'), 200);
  t.equal(await ask(socket, '/api/v1/commands', { host: 'evil.test' }), 403);

  await t.test('the command line reaches it', async (t) => {
    const env = { SHELLVISOR_URL: `unix:${socket}` };
    t.match(await callCli(t, ['run', 'echo in'], env).ended, { code: 0, stdout: 'in\n' });
    t.match(await callCli(t, ['ls'], { SHELLVISOR_URL: 'unix:/nowhere/x.sock' }).ended, {
      code: 125,
      stderr: /ENOENT/,
    });
  });

  await t.test('one that is in use is refused', async (t) => {
    const other = launch(t, { DATABASE_URL, SHELLVISOR_SOCKET: socket, DATA_DIR: temporaryFolder(t) });
    t.match(await other.exited, { code: 1 });
    t.equal(
      other.stderr(),
      `shellvisor: can't listen on ${socket}: another program listens there already; end it, or set SHELLVISOR_SOCKET\n`,
    );
  });

  await t.test('one that a killed server has left behind is taken', async (t) => {
    process.kill(await serverPid(server), 'SIGKILL');
    await until('the next server answers', () =>
      ask(socket, '/manage/health').then(
        (status) => status === 200,
        () => false,
      ),
    );
    t.equal(statSync(socket).mode & 0o777, 0o600);
  });
  t.same(await server.end(), { code: 0, signal: null });
  t.notOk(existsSync(socket), 'it goes with the server');
});

t.test('where no socket can be is told in one line', async (t) => {
  const refusal = async (t: Test, socket: string) => {
    const server = launch(t, { SHELLVISOR_SOCKET: socket, DATA_DIR: temporaryFolder(t) });
    t.match(await server.exited, { code: 1 });
    return server.stderr();
  };
  const file = join(temporaryFolder(t), 'file');
  writeFileSync(file, 'mine');
  t.equal(
    await refusal(t, file),
    `shellvisor: can't listen on ${file}: there is a file of this name that is no socket; set SHELLVISOR_SOCKET\n`,
  );
  t.ok(existsSync(file));
  t.equal(
    await refusal(t, '/nowhere/x.sock'),
    "shellvisor: can't listen on /nowhere/x.sock: its folder can't be written: ENOENT: no such file or directory, access '/nowhere'\n",
  );
});

t.test('a server that others reach goes by the names that it is told', async (t) => {
  const token = 'sixteen-letters!';
  const server = await startServer(t, {
    DATABASE_URL: await createDatabase(t),
    HOST: '0.0.0.0',
    SHELLVISOR_TOKEN: token,
    SHELLVISOR_ALLOWED_HOSTS: 'build.example.org',
  });
  t.match(server.url, /^http:\/\/127\.0\.0\.1:\d+$/);
  const { port } = new URL(server.url);
  const status = (host: string, authorization = `Bearer ${token}`) =>
    new Promise<number>((resolve, reject) => {
      const sent = request(`${server.url}/api/v1/commands`, { headers: { host, authorization } }, (answer) => {
        answer.resume();
        resolve(answer.statusCode as number);
      });
      sent.on('error', reject).end();
    });
  t.equal(await status('build.example.org'), 200);
  t.equal(await status(`localhost:${port}`), 200);
  t.equal(await status(`0.0.0.0:${port}`), 403);
  t.equal(await status('evil.test'), 403);
  t.equal(await status('localhost', 'Bearer nobodys'), 401);
  t.same(await server.end(), { code: 0, signal: null });
});
