import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import t from 'tap';
import { callCli } from '../helpers/cli.ts';
import { createDatabase } from '../helpers/cluster.ts';
import { freePort, temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

/** Runs a program without what tap puts into the environment of all that it starts: npm and tsc choke on it. */
const run = (file: string, args: string[], cwd?: string) => {
  const environment = [`PATH=${process.env.PATH}`, `HOME=${process.env.HOME}`];
  return promisify(execFile)('env', ['-i', ...environment, file, ...args], { cwd });
};
const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** Packs this project and unpacks it where its dependencies are, as npm would have installed it. */
async function installed(): Promise<string> {
  const modules = join(folder, 'node_modules');
  mkdirSync(modules);
  for (const name of readdirSync(join(root, 'node_modules'))) {
    symlinkSync(join(root, 'node_modules', name), join(modules, name));
  }
  const { stdout } = await run('npm', ['pack', '--json', '--pack-destination', folder], root);
  const [{ filename }] = JSON.parse(stdout.slice(stdout.indexOf('[')));
  const target = join(modules, 'shellvisor');
  mkdirSync(target);
  await run('tar', ['-xzf', join(folder, filename), '--strip-components=1', '-C', target]);
  return target;
}

const folder = temporaryFolder(t);
const target = await installed();

t.test('the package that npm makes runs without a checkout', async (t) => {
  const program = join(target, 'bin/shellvisor.js');
  const port = `${await freePort()}`;
  const url = `http://127.0.0.1:${port}`;
  const env = { program, PORT: port, DATA_DIR: join(folder, 'data'), DATABASE_URL: await createDatabase(t) };
  const { child, ended, stdout } = callCli(t, ['serve'], env);
  await until('it is ready', () => /is ready/.test(stdout()));

  t.match(await (await fetch(url)).text(), /<script type="module"/, 'the dashboard is in it');
  t.match(await callCli(t, ['run', 'echo packed'], { program, SHELLVISOR_URL: url }).ended, { stdout: 'packed\n' });

  const user = join(folder, 'user.mjs');
  writeFileSync(
    user,
    `import { Refused, Shellvisor } from 'shellvisor/client';
     const shellvisor = new Shellvisor({ url: '${url}' });
     const { uuid } = await shellvisor.create({ script: 'echo by a program' }, { durable: true });
     for await (const event of shellvisor.follow(uuid)) if (event.type === 'output') process.stdout.write(event.bytes);
     console.log((await shellvisor.get(uuid, { wait: 30 })).status);
     await shellvisor.remove(uuid);
     console.log(await shellvisor.get(uuid).catch((error) => error instanceof Refused && error.code));`,
  );
  const byProgram = await run(process.execPath, [user]);
  t.equal(byProgram.stdout, 'by a program\nEXECUTED\nCOMMAND_NOT_FOUND\n');

  child.kill('SIGTERM');
  t.match(await ended, { code: 0 });
});

t.test('programs in TypeScript find the types of the client', async (t) => {
  writeFileSync(
    join(folder, 'user.mts'),
    `import { type Command, Shellvisor } from 'shellvisor/client';
     const shown: Promise<Command> = new Shellvisor().get('x');
     const uuid: Promise<string> = shown.then((command) => command.command_uuid);
     // @ts-expect-error a script is a string
     new Shellvisor().create({ script: 1 });
     void uuid;`,
  );
  const options = ['--noEmit', '--strict', '--module', 'nodenext', '--skipLibCheck', '--types', 'node'];
  const { stdout } = await run(join(root, 'node_modules/.bin/tsc'), [...options, join(folder, 'user.mts')], folder);
  t.equal(stdout, '');
});
