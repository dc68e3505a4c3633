import t from 'tap';
import { type LimitMeans, limitedStart, unsupportedOptions } from '../../src/scripts/limits.ts';

const root: LimitMeans = {
  nice: '/usr/bin/nice',
  confiner: [],
  controllers: [],
  isRoot: true,
  sandboxProblem: null,
  maxProcesses: undefined,
  maxOpenFiles: undefined,
  mostOpenFiles: 4096,
};

t.test('what a machine can not limit is told with the reason', async (t) => {
  t.same(unsupportedOptions({ ...root, isRoot: false }), {});
  t.same(unsupportedOptions({ ...root, controllers: ['memory', 'pids'] }), {
    sandbox:
      'sandbox is not possible here: the server runs as root, to whom files and devices of the machine belong in a ' +
      'sandbox too; set SHELLVISOR_RUN_AS to another user',
  });
  t.match(unsupportedOptions(root), { maxProcesses: /^max_processes is not possible here: the server runs as root/ });
  t.match(unsupportedOptions({ ...root, sandboxProblem: 'for a test' }), {
    sandbox: 'sandbox is not possible here: for a test',
  });
  t.match(unsupportedOptions({ ...root, nice: undefined }), {
    nice: /^nice is not possible here: there is no program/,
  });
});

t.test('a command that was taken where its limits were possible does not start where they are not', async (t) => {
  t.throws(() => limitedStart({ maxProcesses: 5 }, root), /^max_processes is not possible here/);
  t.throws(
    () => limitedStart({ sandbox: { network: false } }, root),
    /^sandbox is not possible here: the server runs as root/,
  );
  t.throws(() => limitedStart({ nice: 0 }, { ...root, nice: undefined }), /^nice is not possible here/);
  t.same(limitedStart({ timeoutMs: 5, keepBackground: true }, root), { prefix: [], environment: {}, group: {} });
});

t.test('limits are those of the control group where that has the controller, else those of bash', async (t) => {
  const options = { maxMemoryBytes: 100_000_000, maxProcesses: 7, nice: 3 };
  t.same(limitedStart(options, { ...root, isRoot: false }), {
    prefix: ['/usr/bin/nice', '-n', '3'],
    environment: { SHELLVISOR_MEMORY_KIB: '97656', SHELLVISOR_PROCESSES: '7' },
    group: {},
  });
  t.same(limitedStart(options, { ...root, controllers: ['memory', 'pids'] }), {
    prefix: ['/usr/bin/nice', '-n', '3'],
    environment: {},
    group: { 'memory.max': '100000000', 'pids.max': '7' },
  });
});

t.test('where the way to more privileges is taken by a program, it comes before all others', async (t) => {
  const confiner = ['/usr/bin/setpriv', '--no-new-privs'];
  t.same(limitedStart({}, { ...root, confiner }).prefix, confiner);
  t.same(limitedStart({ nice: 3 }, { ...root, confiner }).prefix, [...confiner, '/usr/bin/nice', '-n', '3']);
});

t.test('what a client does not say follows the server, and open files what the server has itself', async (t) => {
  const means = { ...root, isRoot: false, maxProcesses: 9, maxOpenFiles: 1024, mostOpenFiles: 4096 };
  const environmentOf = (...args: Parameters<typeof limitedStart>) => limitedStart(...args).environment;
  t.same(environmentOf({}, means), { SHELLVISOR_PROCESSES: '9', SHELLVISOR_OPEN_FILES: '1024' });
  t.same(environmentOf({ maxProcesses: 20, maxOpenFiles: 4096 }, means), {
    SHELLVISOR_PROCESSES: '20',
    SHELLVISOR_OPEN_FILES: '4096',
  });
  t.same(environmentOf({}, { ...means, maxOpenFiles: 5000 }).SHELLVISOR_OPEN_FILES, '4096');
  t.throws(() => limitedStart({ maxOpenFiles: 4097 }, means), /^max_open_files can be 4096 at most/);
  t.same(limitedStart({}, { ...means, maxProcesses: 9, controllers: ['pids'] }).group, { 'pids.max': '9' });
});
