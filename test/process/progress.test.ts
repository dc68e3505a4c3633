import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Progress } from '../../src/command.ts';
import { spawnerByChildProcess } from '../../src/os/child-process.ts';
import type { ProcessSpec } from '../../src/ports/process.ts';
import { ScriptProcess } from '../../src/scripts/script-process.ts';
import { createScriptSetup } from '../../src/scripts/setup.ts';
import { processesWith, uniqueSeconds } from '../helpers/processes.ts';
import { temporaryFolder } from '../helpers/server.ts';
import { CollectingSink } from '../helpers/sink.ts';
import { until } from '../helpers/until.ts';

const folder = temporaryFolder(t);
const setup = await createScriptSetup({
  dataDir: folder,
  environment: process.env,
  cgroups: true,
  isOwnChild: () => false,
});
t.equal(setup.spawner.kind, 'posix_spawn');

for (const spawner of [setup.spawner, spawnerByChildProcess]) {
  /** Starts a script. */
  const start = (t: Test, script: string, spec: Partial<ProcessSpec> = {}) => {
    const sink = new CollectingSink();
    const all = { uuid: randomUUID(), script, options: {}, inputs: {}, secretEnv: {}, ...spec };
    const running = new ScriptProcess({ ...setup, spawner }, all, sink);
    t.teardown(() => running.kill());
    const told: (Progress & { at: number })[] = [];
    running.onProgress = (progress) => told.push({ ...progress, at: performance.now() });
    return { running, sink, told, percents: () => told.map(({ percent }) => percent) };
  };
  /** Runs a script to its end. */
  const run = async (t: Test, script: string, spec?: Partial<ProcessSpec>) => {
    const started = start(t, script, spec);
    const { end, durationMs } = await started.running.ended;
    return { ...started, end, durationMs: durationMs ?? 0 };
  };
  const exit = (exitCode: number) => ({ kind: 'exited', exitCode });

  t.test(`by ${spawner.kind}`, async (t) => {
    t.test('a script tells its progress while it runs, and nothing of that is output', async (t) => {
      const gate = join(folder, `gate ${spawner.kind}`);
      const untilOpen = `until [ -e '${gate}' ]; do sleep 0.01; done`;
      const script = `echo "12.5 first" >&$SHELLVISOR_PROGRESS_FD; echo out; ${untilOpen}
        sh -c 'echo 50% >&$SHELLVISOR_PROGRESS_FD'; echo err >&2; exit 3`;
      const { running, sink, told } = start(t, script);
      await until('it has told', () => told.length > 0);
      t.match(told, [{ percent: 12.5, text: 'first' }]);
      writeFileSync(gate, '');
      t.match((await running.ended).end, exit(3));
      t.match(told, [{}, { percent: 50, text: '' }]);
      t.equal(told.length, 2);
      t.same([sink.text('stdout'), sink.text('stderr')], ['out\n', 'err\n']);
    });

    for (const [kind, script] of Object.entries({
      often: 'for i in {1..100}; do echo $i >&3; sleep 0.01; done',
      'without a pause': 'for i in {1..300000}; do echo "$((i / 3000)) item $i of many"; done >&3',
    })) {
      t.test(
        `one that says something ${kind} is heard at most about each 200 ms, and its last word always`,
        async (t) => {
          const { told, percents } = await run(t, script);
          t.equal(percents().at(-1), 100);
          t.ok(told.length > 2, `${percents()}`);
          const gaps = told.slice(1, -1).map(({ at }, i) => at - (told[i]?.at ?? 0));
          t.same(
            gaps.filter((gap) => gap < 140),
            [],
          );
          t.same(
            percents(),
            percents().toSorted((a, b) => a - b),
          );
        },
      );
    }

    t.test('a flood is drained, and tells the same once', async (t) => {
      const flood = 'yes "50 on and on" | head -n 150000 >&3; echo flooded';
      const { percents, sink, end } = await run(t, `${flood}; yes nonsense | head -c 1800000 >&3; echo 60 >&3`);
      t.same(end, exit(0));
      t.equal(sink.text(), 'flooded\n');
      t.same(percents(), [50, 60]);
    });

    t.test('one that closes the descriptor, or uses it for something else, runs on', async (t) => {
      const closed = await run(t, 'echo 1 >&3; exec 3>&-; echo on; sleep 0.3; exit 4');
      t.same([closed.end, closed.percents(), closed.sink.text()], [exit(4), [1], 'on\n']);
      t.ok(closed.durationMs >= 300);
      const used = await run(t, 'exec 3>&1; echo 42 >&3');
      t.same([used.end, used.percents(), used.sink.text()], [exit(0), [], '42\n']);
    });

    t.test('what was said before the exit is told, whoever holds the descriptor then', async (t) => {
      const seconds = uniqueSeconds();
      t.teardown(() => {
        for (const pid of processesWith(seconds)) process.kill(pid, 'SIGKILL');
      });
      const silent = await run(t, `sleep ${seconds} >/dev/null 2>&1 & echo 99 >&3; exit 5`, {
        options: { keepBackground: true },
      });
      t.same([silent.end, silent.percents()], [exit(5), [99]]);
      await until('who holds it lives on', () => processesWith(`sleep\0${seconds}`).length === 1);

      const loud = `bash -c 'while echo 7 more; do :; done' ${seconds} >&3 2>/dev/null </dev/null &`;
      const { end, percents } = await run(t, `${loud} exec >&- 2>&-; sleep 0.2; exit 6`, {
        options: { keepBackground: true },
      });
      t.same([end, percents()], [exit(6), [7]]);
      await until(
        'who writes on ends, since nobody reads',
        () => processesWith(`more; do :; done\0${seconds}`).length === 0,
      );
    });

    t.test('one that is killed in the middle has told what it said', async (t) => {
      const { end, percents } = await run(t, 'echo 33 >&3; kill -KILL $$');
      t.same([end, percents()], [{ kind: 'signalled', signal: 'SIGKILL' }, [33]]);
    });

    t.test('secrets are masked in the text', async (t) => {
      const gate = join(folder, `secrets ${spawner.kind}`);
      const script = `echo "10 token $TOKEN" >&3; until [ -e '${gate}' ]; do sleep 0.01; done
        printf '20 sword' >&3; sleep 0.3; printf 'fish\\n' >&3`;
      const { running, told } = start(t, script, { secretEnv: { TOKEN: 'swordfish' } });
      await until('it has told', () => told.length > 0);
      writeFileSync(gate, '');
      await running.ended;
      t.same(
        told.map(({ text }) => text),
        ['token ***', '***'],
      );
    });
  });
}
