import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  becomesReady,
  COMMANDS,
  checkHealth,
  DURABLES,
  ended,
  readiness,
  submit,
  watchHealth,
} from '../helpers/faults.ts';
import { serverPid, startServer, temporaryFolder } from '../helpers/server.ts';
import { startOnSmallDisk } from '../helpers/small-disk.ts';
import { until } from '../helpers/until.ts';

const sha = (data: string | Buffer) => createHash('sha256').update(data).digest('hex');

t.test(
  'while the disk of PostgreSQL is full scripts wait, and all they print is stored once there is room',
  async (t) => {
    const { cluster, kind, fill, free } = await startOnSmallDisk(t);
    t.comment(`the disk is small by ${kind}`);
    const folder = temporaryFolder(t);
    const server = await startServer(t, { DATABASE_URL: cluster.url, LOG_LEVEL: 'fatal' });
    const pid = await serverPid(server);
    fill();
    const health = watchHealth(server);
    const scripts: { uuid: string; side: string }[] = [];
    for (let i = 0; i < 4; i++) {
      const side = join(folder, `side${i}`);
      // Six MiB that can't be compressed, of which half a script's is more than there is room for.
      const script = `echo ran >> ${side}.runs; head -c 4500000 /dev/urandom | base64 | tee ${side}; exit 7`;
      scripts.push({ uuid: await submit(server, script, i % 2 === 0 ? COMMANDS : DURABLES), side });
    }
    await until('writing fails', async () => (await readiness(server)) === 'unavailable');
    const marker = join(folder, 'never');
    const refused = await server.request('POST', COMMANDS, { script: `echo ran > ${marker}` });
    t.match(refused, { status: 503, body: { code: 'STORAGE_UNAVAILABLE', error: /nothing was stored/ } });
    t.equal(await readiness(server), 'unavailable');

    await free();
    await becomesReady(server);
    for (const { uuid, side } of scripts) {
      const { status, exit_code, output } = await ended(server, uuid);
      t.same({ status, exit_code }, { status: 'FAILED', exit_code: 7 });
      t.equal(sha(output), sha(readFileSync(side)), 'no byte lost or doubled');
      t.equal(readFileSync(`${side}.runs`, 'utf8'), 'ran\n');
    }
    checkHealth(t, await health());
    const { body: list } = await server.request('GET', COMMANDS);
    t.equal(list.length, 4, 'the command that was refused is not there');
    t.notOk(existsSync(marker), 'and has not run');
    t.equal(await serverPid(server), pid, 'the server has lived through it');
    t.same(await server.end(), { code: 0, signal: null });
  },
);
