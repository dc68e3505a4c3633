import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { Client } from 'pg';
import t, { type Test } from 'tap';
import { createDatabase } from '../helpers/cluster.ts';
import { launch, startServer, temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

t.test('a server runs a script and keeps its output', async (t) => {
  const server = await startServer(t, { DATABASE_URL: await createDatabase(t) });
  const created = await server.request('POST', '/api/v1/commands', { script: 'echo hello' });
  t.equal(created.status, 201);
  const path = created.headers.get('location') ?? '';
  t.equal(path, `/api/v1/commands/${created.body.uuid}`);
  const command = await until('the command ended', async () => {
    const { body } = await server.request('GET', path);
    return body.status === 'EXECUTED' && body;
  });
  t.match(command, { output: 'hello\n', exit_code: 0, reason: 'exit', output_bytes: 6, durable: false });
  t.same(await server.end(), { code: 0, signal: null });
});

t.test(
  'without a DATABASE_URL it brings its own PostgreSQL, and a second start finds the commands of the first',
  async (t) => {
    const DATA_DIR = join(temporaryFolder(t), 'data');
    const first = await startServer(t, { DATA_DIR });
    t.match(first.stdout(), new RegExp(`API +http.*\n +Docs +http.*\n +Data +${DATA_DIR} \\(embedded PostgreSQL`));
    const { body } = await first.request('POST', '/api/v1/commands', { script: 'echo kept' });
    const ended = async (server: typeof first) => {
      const { body: command } = await server.request('GET', `/api/v1/commands/${body.uuid}`);
      return command.status === 'EXECUTED' && command;
    };
    const before = await until('it ended', () => ended(first));
    await t.test('another server on the same folder is refused', async (t) => {
      const other = launch(t, { DATA_DIR });
      t.match(await other.exited, { code: 1 });
      t.equal(other.stderr(), `shellvisor: another shellvisor works with the data folder ${DATA_DIR}\n`);
      t.equal((await first.request('GET', '/api/v1/commands')).status, 200, 'and the first one goes on');
    });
    t.same(await first.end(), { code: 0, signal: null });
    const second = await startServer(t, { DATA_DIR });
    t.same(await ended(second), before);
    t.same(await second.end(), { code: 0, signal: null });
  },
);

t.test(
  'an embedded PostgreSQL that crashes is started again, and commands go on with all of their output',
  async (t) => {
    const DATA_DIR = join(temporaryFolder(t), 'data');
    const server = await startServer(t, { DATA_DIR });
    const script = 'for i in $(seq 100); do echo $i; sleep 0.02; done';
    const { body } = await server.request('POST', '/api/v1/durables/commands', { script });
    const get = async () => (await server.request('GET', `/api/v1/commands/${body.uuid}`)).body;
    await until('it prints', async () => (await get()).output_bytes > 0);
    const postmaster = Number(readFileSync(join(DATA_DIR, 'postgres', 'postmaster.pid'), 'utf8').split('\n')[0]);
    process.kill(postmaster, 'SIGKILL');
    t.equal((await server.request('GET', '/manage/health')).status, 200);
    const command = await until('it ended', async () => {
      const found = await get();
      return found.status === 'EXECUTED' ? found : null;
    });
    t.equal(command.output, Array.from({ length: 100 }, (_, i) => `${i + 1}\n`).join(''));
    await t.test("its folder is still this server's alone", async (t) => {
      const other = launch(t, { DATA_DIR });
      t.match(await other.exited, { code: 1 });
      t.match(other.stderr(), /another shellvisor works with the data folder/);
    });
    t.same(await server.end(), { code: 0, signal: null });
  },
);

t.test('two servers that start at once on one empty database both work', async (t) => {
  const DATABASE_URL = await createDatabase(t, 'template0');
  const servers = await Promise.all([startServer(t, { DATABASE_URL }), startServer(t, { DATABASE_URL })] as const);
  for (const server of servers) {
    const { body } = await server.request('POST', '/api/v1/commands', { script: 'echo mine' });
    await until('it ended', async () => {
      const { body: command } = await server.request('GET', `/api/v1/commands/${body.uuid}`);
      return command.status === 'EXECUTED';
    });
  }
  await t.test('each runs its own commands: the other one neither stops nor deletes them', async (t) => {
    const [one, other] = servers;
    const { body } = await one.request('POST', '/api/v1/commands', { script: 'sleep 1000' });
    for (const method of ['PATCH', 'DELETE']) {
      const answer = await other.request(method, `/api/v1/commands/${body.uuid}`);
      t.match(answer, { status: 409, body: { code: 'COMMAND_ELSEWHERE' } });
    }
    t.equal((await one.request('DELETE', `/api/v1/commands/${body.uuid}`)).status, 204);
  });
});

t.test('what prevents a start is told in one line, without a stack', async (t) => {
  /** Starts a server that can't start, and gives the one line. */
  async function refusal(t: Test, env: Record<string, string>) {
    const server = launch(t, { DATA_DIR: join(temporaryFolder(t), 'data'), LOG_LEVEL: 'silent', ...env });
    t.match(await server.exited, { code: 1, signal: null });
    t.equal(server.stdout(), '');
    const lines = server.stderr().split('\n');
    t.equal(lines.length, 2, server.stderr());
    return lines[0] ?? '';
  }

  t.test('a port that is taken', async (t) => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    t.teardown(() => taken.close());
    const { port } = taken.address() as { port: number };
    const line = await refusal(t, { PORT: `${port}` });
    t.equal(
      line,
      `shellvisor: can't listen on 127.0.0.1:${port}: another program listens there already; end it, or set PORT`,
    );
  });

  t.test('a limit that this machine can not keep', async (t) => {
    const env = { SHELLVISOR_MAX_PROCESSES: '100', SHELLVISOR_CGROUPS: 'off', DATABASE_URL: await createDatabase(t) };
    if (process.getuid?.() !== 0) {
      t.match((await startServer(t, env)).stdout(), /is ready/, 'of an ordinary user it can');
      return;
    }
    const line = await refusal(t, env);
    t.match(
      line,
      /^shellvisor: SHELLVISOR_MAX_PROCESSES can't be kept: max_processes is not possible here: .* as root/,
    );
  });

  t.test('a database that does not let us in', async (t) => {
    const url = (await createDatabase(t)).replace('shellvisor@', 'stranger:secret@');
    const line = await refusal(t, { DATABASE_URL: url });
    t.match(line, /^shellvisor: the database of DATABASE_URL can't be reached: .*authentication failed/);
    t.notMatch(line, /secret/);
  });

  t.test('a URL that is none', async (t) => {
    const line = await refusal(t, { DATABASE_URL: 'postgresql://user:secret@host:port/db' });
    t.equal(line, "shellvisor: the database of DATABASE_URL can't be reached: Invalid URL");
  });

  t.test('a database that does not exist', async (t) => {
    const url = (await createDatabase(t)).replace(/[^/]*$/, 'nowhere');
    t.match(await refusal(t, { DATABASE_URL: url }), /can't be reached: database "nowhere" does not exist/);
  });

  t.test('a database that can not be migrated', async (t) => {
    const DATABASE_URL = await createDatabase(t, 'template0');
    const client = new Client(DATABASE_URL);
    await client.connect();
    await client.query('CREATE TABLE commands (in_the_way int)');
    await client.end();
    t.match(await refusal(t, { DATABASE_URL }), /^shellvisor: the database could not be migrated: .*already exists/);
  });

  t.test('a data folder that can not be written', async (t) => {
    const file = join(temporaryFolder(t), 'file');
    writeFileSync(file, '');
    t.match(
      await refusal(t, { DATA_DIR: join(file, 'data') }),
      /^shellvisor: the data folder can't be (written|made): ENOTDIR/,
    );
    t.match(
      await refusal(t, { DATA_DIR: '/proc/shellvisor/data' }),
      /^shellvisor: the data folder can't be (written|made): ENOENT/,
      'on a file system that takes no new names',
    );
  });

  t.test('a variable with a value of no use', async (t) => {
    t.equal(
      await refusal(t, { SHELLVISOR_MAX_PARALLEL: 'lots' }),
      'shellvisor: SHELLVISOR_MAX_PARALLEL must be a whole number from 1 to 100000, not "lots"',
    );
  });

  t.test('an address that others could reach', async (t) => {
    t.match(
      await refusal(t, { HOST: '0.0.0.0' }),
      /^shellvisor: HOST=0.0.0.0 would let everyone .*SHELLVISOR_ALLOW_ANONYMOUS=yes/,
    );
  });
});
