import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { ServerProcess } from '../../src/launcher/server-process.ts';
import { temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

/** A server that serves, and crashes when it is told to. */
const SERVER = `
import { Socket } from 'node:net';
import { encodeControl } from '${fileURLToPath(new URL('../../src/launcher/protocol.ts', import.meta.url))}';
const link = new Socket({ fd: 3 });
link.write(encodeControl({ type: 'ready' }));
link.once('data', () => process.exit(9));
process.on('SIGTERM', () => process.exit(0));
`;

t.test('a server whose program is not there for a while is started again once it is', async (t) => {
  const entry = join(temporaryFolder(t), 'server.ts');
  writeFileSync(entry, SERVER);
  const log: string[] = [];
  let starts = 0;
  const ended = Promise.withResolvers<number>();
  const server = new ServerProcess(entry, {
    onMessage: () => starts++,
    onGone: () => {},
    onEnd: ended.resolve,
    log: (message) => log.push(message),
  });
  const program = process.execPath;
  t.teardown(() => {
    process.execPath = program;
    server.kill();
  });
  server.start();
  await until('it serves', () => starts === 1);
  process.execPath = join(temporaryFolder(t), 'nothing');
  server.control({ type: 'hand over' });
  await until('it could not be started', () => log.some((message) => message.includes('ENOENT')));
  t.match(log[0], 'ended with 9');
  process.execPath = program;
  await until('it serves again', () => starts === 2);
  server.end();
  t.equal(await ended.promise, 0);
});
