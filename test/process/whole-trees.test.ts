import { spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import t, { type Test } from 'tap';
import type { RunInputs, RunOptions } from '../../src/command.ts';
import { Cgroups } from '../../src/os/cgroups.ts';
import { killTrees } from '../../src/os/process-trees.ts';
import { createInProcessRunner } from '../../src/process/in-process.ts';
import { stop } from '../helpers/fakes.ts';
import { isAlive, processesWith, uniqueSeconds } from '../helpers/processes.ts';
import { temporaryFolder } from '../helpers/server.ts';
import { CollectingSink } from '../helpers/sink.ts';
import { until } from '../helpers/until.ts';

/**
 * Ways to get away from bash. Each appends the id of its process to the file TRAIL, and lives for a while, or for ever
 * under new ids: then it gives up by itself when the file END is there.
 */
const ESCAPES: Record<string, string> = {
  'a background job': 'sh -c "echo \\$\\$ >>TRAIL; exec sleep S" &',
  'a daemon in a session of its own': 'setsid sh -c "echo \\$\\$ >>TRAIL; exec sleep S" &',
  'a double fork without an environment': '(env -i setsid sh -c "echo \\$\\$ >>TRAIL; exec sleep S" &)',
  'a nohup daemon that ignores signals':
    '(trap \'\' TERM HUP; setsid nohup sh -c "echo \\$\\$ >>TRAIL; exec sleep S" >/dev/null 2>&1 &)',
  'a loop that ignores SIGTERM':
    'setsid sh -c "trap \'\' TERM; echo \\$\\$ >>TRAIL; until [ -e END ]; do sleep 0.05; done" &',
  'a process that lowers the limit which is its mark':
    '(env -i bash -c \'ulimit -R 1000000; exec setsid env -i sh -c "echo \\$\\$ >>TRAIL; exec sleep S"\' >/dev/null 2>&1 3>&- &)',
  'a process that takes a mark of its own making':
    '(env -i bash -c \'ulimit -R 4611686018427387904; exec setsid env -i sh -c "echo \\$\\$ >>TRAIL; exec sleep S"\' >/dev/null 2>&1 3>&- &)',
  'a process that forks itself away again and again':
    "env -i setsid bash -c 'w() { echo $BASHPID >>TRAIL; [[ -e END ]] || w & }; w' &",
};

for (const cgroups of [true, false]) {
  const dataDir = temporaryFolder(t);
  const runner = await createInProcessRunner({ dataDir, environment: { PATH: process.env.PATH }, cgroups });
  const start = (
    t: Test,
    script: string,
    { uuid = randomUUID() as string, ...options }: RunOptions & { uuid?: string } = {},
    inputs: RunInputs = {},
  ) => {
    const sink = new CollectingSink();
    const running = runner.start({ uuid, script, options, inputs, secretEnv: {} }, sink);
    t.teardown(() => running.kill());
    return { running, sink, uuid };
  };

  t.test(`with the layers ${runner.layers.join(', ')}`, async (t) => {
    for (const [kind, way] of Object.entries(ESCAPES)) {
      const prepare = (t: Test) => {
        const folder = temporaryFolder(t);
        const trail = join(folder, 'trail');
        const seconds = uniqueSeconds();
        const pids = (): number[] => {
          try {
            return readFileSync(trail, 'utf8').trim().split('\n').map(Number);
          } catch {
            return [];
          }
        };
        const script = way
          .replaceAll('TRAIL', trail)
          .replaceAll('END', `${folder}/end`)
          .replaceAll('S"', `${seconds}"`);
        const assertDead = () => {
          const last = pids();
          t.ok(last.length > 0, 'it has lived');
          t.notOk(last.some(isAlive), 'it is dead');
          t.same(processesWith(trail), [], 'so are its descendants');
        };
        return { script, trail, pids, assertDead };
      };

      t.test(`after a stop nothing lives on of ${kind}`, async (t) => {
        const { script, pids, assertDead } = prepare(t);
        const { running } = start(t, `${script}\nwhile :; do sleep 1; done`);
        await until('it has got away', () => pids().length > 0);
        running.terminate(stop, 60_000);
        running.kill();
        await running.ended;
        assertDead();
      });

      t.test(`a script that ends by itself takes with it ${kind}`, async (t) => {
        const { script, trail, assertDead } = prepare(t);
        const wait = `until [[ -s ${trail} ]]; do sleep 0.01; done`;
        const { running } = start(t, `exec >/dev/null 2>&1\n${script}\n${wait}; exit 3`);
        t.same((await running.ended).end, { kind: 'exited', exitCode: 3 });
        assertDead();
      });
    }

    t.test('a process that has left the group gets SIGTERM too, and may tidy up', async (t) => {
      const { running, sink } = start(
        t,
        `setsid bash -c "trap 'echo tidied; exit' TERM; echo ready; while :; do sleep 0.01; done" & wait`,
      );
      await until('it is ready', () => sink.text().includes('ready'));
      running.terminate(stop, 60_000);
      t.same((await running.ended).end, { kind: 'signalled', signal: 'SIGTERM' });
      t.match(sink.text(), /tidied/);
    });

    t.test(
      'what a script leaves in the background lives on after its end if that is wished, and dies by a stop',
      async (t) => {
        const seconds = uniqueSeconds();
        const sleepers = () => processesWith(`sleep\0${seconds}`);
        const leave = `(setsid sleep ${seconds} >/dev/null 2>&1 &); sleep ${seconds} >/dev/null 2>&1 &`;
        const first = start(t, `${leave} exit 0`, { keepBackground: true });
        t.same((await first.running.ended).end, { kind: 'exited', exitCode: 0 });
        await until('both live', () => sleepers().length === 2);
        t.teardown(() => killTrees([first.uuid]));
        const second = start(t, `${leave} wait`, { keepBackground: true });
        await until('those of the second live too', () => sleepers().length === 4);
        second.running.terminate(stop, 60_000);
        second.running.kill();
        await second.running.ended;
        t.equal(sleepers().length, 2, 'those of the other command are left alone');
        t.equal(await killTrees([first.uuid]), 2, 'who knows its uuid can still find them');
        t.same(sleepers(), []);
      },
    );

    t.test('what would act on bash before it is kept is dropped, whoever has stored it', async (t) => {
      const env = { GCONV_PATH: '/x', LOCPATH: '/x', LD_DEBUG: 'all', SHELLVISOR_CWD: '/x', GIVEN: 'given' };
      const { running, sink } = start(t, 'export LOCPATH=own; env', {}, { env });
      await running.ended;
      t.match(sink.text(), /^GIVEN=given$/m);
      t.match(sink.text(), /^LOCPATH=own$/m, 'the script may set it');
      t.notMatch(sink.text(), /GCONV_PATH|LD_DEBUG|SHELLVISOR_CWD/);
    });

    t.test('what is no script of ours, or shall stay, is no stray', async (t) => {
      const seconds = uniqueSeconds();
      const sleepers = () => processesWith(`sleep\0${seconds}`);
      // An orphan that is ours, as PostgreSQL is.
      spawnSync('sh', ['-c', `sleep ${seconds} &`], { stdio: 'ignore' });
      // In the middle of an exec nothing shows of its environment, by which it is known.
      const staying = `bash -c 'ulimit -R 1000000; exec sleep ${seconds}' >/dev/null 2>&1 &
        until [[ $(tr '\\0' ' ' </proc/$!/cmdline) == 'sleep ${seconds} ' ]]; do sleep 0.01; done`;
      const { running, uuid } = start(t, staying, { keepBackground: true });
      t.teardown(() => sleepers().map((pid) => process.kill(pid, 'SIGKILL')));
      await running.ended;
      await until('both live', () => sleepers().length === 2);
      const stray = uniqueSeconds();
      const strays = `(env -i bash -c 'ulimit -R 1000000; exec sleep ${stray}' >/dev/null 2>&1 &)`;
      const mayEnd = join(temporaryFolder(t), 'end');
      const other = start(t, `${strays}; until [[ -e ${mayEnd} ]]; do sleep 0.01; done`);
      await until('it is there', () => processesWith(`sleep\0${stray}`).length > 0);
      writeFileSync(mayEnd, '');
      await other.running.ended;
      t.same(processesWith(stray), []);
      t.equal(sleepers().length, 2);
      t.equal(await killTrees([uuid]), 1);
    });

    t.test('a script finds no trace of how it is kept', async (t) => {
      const { running, sink } = start(t, 'echo "$BASH_ENV:$SHELLVISOR_MARK:$SHELLVISOR_CGROUP:$?:$#"; env');
      await running.ended;
      t.match(sink.text(), /^:::0:0\n/);
      t.notMatch(sink.text(), /BASH_ENV|SHELLVISOR_MARK|SHELLVISOR_CGROUP/);
    });

    t.test('orphans are reaped: they leave no zombies', async (t) => {
      const { running, sink } = start(
        t,
        'for i in 1 2 3 4 5; do (setsid sh -c "echo \\$\\$" &); done; wait; sleep 0.1',
      );
      await running.ended;
      const pids = sink.text().trim().split('\n').map(Number);
      t.equal(pids.length, 5);
      await until('they are gone from the process table', () =>
        pids.every((pid) => !readdirSync('/proc').includes(`${pid}`)),
      );
    });

    if (runner.layers.includes('cgroup')) {
      t.test(
        'a control group that a script has for itself is removed with it, those that it made in it included',
        async (t) => {
          const uuid = randomUUID();
          const path = (await Cgroups.find()?.open(uuid, true))?.path as string;
          const script = `cat ${path}/cgroup.procs; mkdir -p ${path}/one/two; echo $$`;
          const { running, sink } = start(t, script, { uuid, keepBackground: true });
          await running.ended;
          const lines = sink.text().trim().split('\n');
          t.ok(lines.slice(0, -1).includes(lines.at(-1) as string), 'bash was in its group');
          await until('it is removed', () => !existsSync(path));
        },
      );

      t.test("a group that is limited is one command's alone, and has what it is limited by", async (t) => {
        const cgroups = Cgroups.find() as Cgroups;
        t.ok(await cgroups.prepare('/bin/bash'));
        const group = await cgroups.open(randomUUID(), true);
        group.limit({ 'cgroup.max.descendants': '3' });
        t.equal(readFileSync(join(group.path, 'cgroup.max.descendants'), 'utf8'), '3\n');
        for (const name of cgroups.controllers) t.ok(existsSync(join(group.path, `${name}.max`)), name);
        cgroups.close(group);
        await until('it is removed', () => !existsSync(group.path));
      });

      t.test('a process that leaves its control group as well does not live on', async (t) => {
        const cgroups = Cgroups.find() as Cgroups;
        const above = dirname(dirname(dirname((await cgroups.open(randomUUID(), true)).path)));
        const seconds = uniqueSeconds();
        const leave = `setsid sh -c 'echo $$ >${above}/cgroup.procs; exec sleep ${seconds}' & wait`;
        const { running } = start(t, leave);
        await until('it has left', () => processesWith(`sleep\0${seconds}`).length > 0);
        running.terminate(stop, 60_000);
        running.kill();
        await running.ended;
        t.same(processesWith(seconds), []);
      });
    }
  });
}
