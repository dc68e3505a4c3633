import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ended, get, setup } from '../helpers/launcher.ts';
import { faultOf, type PathStep } from '../helpers/path.ts';
import { serverPid } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

type Step = PathStep & { at: string };
const brief = (path: readonly PathStep[]) => path.map(({ from, event, to }) => `${from} → ${event} → ${to}`);

const STARTED = ['null → admit → queued', 'queued → start → executing.starting'];
const UP = [...STARTED, 'executing.starting → process.started → executing.running'];
const AGAIN = [
  'null → readmit → queued',
  'queued → resume → executing.attaching',
  'executing.attaching → process.started → executing.running',
];
const END = ['executing.running → process.ended → storing', 'storing → store is done → executed'];

t.test(
  'the path of a command goes on over the ends of its servers, and one that waits stays where it is',
  async (t) => {
    // The first server is killed when it has marked the command as executing: it could store no step of it.
    const { server, submit, folder } = await setup(t, {
      SHELLVISOR_MAX_PARALLEL: '1',
      SHELLVISOR_FAILPOINT: 'after-begin',
    });
    const pathOf = async (uuid: string): Promise<Step[]> =>
      (await server.request('GET', `/api/v1/commands/${uuid}/transitions`)).body;
    const gate = join(folder, 'gate');
    const uuid = await submit('/api/v1/commands', `until [ -e '${gate}' ]; do sleep 0.02; done`);
    const shows = (steps: string[]) =>
      until('its path shows', async () => {
        const path = await pathOf(uuid).catch(() => []);
        return path.length === steps.length ? path : null;
      });

    const first = await shows([...STARTED, ...UP]);
    t.same(brief(first), [...STARTED, ...UP], 'its row tells of the start that no server had the time to tell');
    const waiting = await submit('/api/v1/commands', 'true');
    process.kill(await serverPid(server), 'SIGKILL');
    const second = await shows([...STARTED, ...UP, ...AGAIN]);
    t.same(second.slice(0, first.length), first, 'what was before the crash is kept as it was');
    t.same(brief(second), [...STARTED, ...UP, ...AGAIN]);
    server.child.kill('SIGHUP');
    await shows([...STARTED, ...UP, ...AGAIN, ...AGAIN]);
    t.same(brief(await pathOf(waiting)), UP.slice(0, 1));

    writeFileSync(gate, '');
    const { status } = await ended(server, uuid);
    const path = await pathOf(uuid);
    t.same(brief(path), [...STARTED, ...UP, ...AGAIN, ...AGAIN, ...END]);
    t.equal(faultOf(path, status), null);
    t.same([(await get(server, uuid)).created_at, (await get(server, uuid)).ended_at], [path[0]?.at, path.at(-1)?.at]);
    await ended(server, waiting);
    t.same(brief(await pathOf(waiting)), [...UP, ...END]);
  },
);
