import t from 'tap';
import { runModule } from '../helpers/own-program.ts';

const shown = `
  import { readdirSync } from 'node:fs';
  import { spawnSync } from 'node:child_process';
  import { seclude } from '../../src/os/seclusion.ts';
  const descriptors = () => spawnSync('/bin/ls', ['/proc/self/fd'], { encoding: 'utf8' }).stdout.split('\\n');
`;

t.test('descriptors that whoever started us has left open reach no child', async (t) => {
  const code = `${shown}
    const before = descriptors().includes('50');
    await seclude();
    console.log(before, descriptors().includes('50'), readdirSync('/proc/self/fd').includes('50'));
    console.log('its own streams are still there');
  `;
  const inherited = await runModule(code, 'exec 50</etc/passwd');
  t.equal(inherited, 'true false false\nits own streams are still there\n');
});

t.test('a process of ours shuts others of its user out, and still sees itself', async (t) => {
  const code = `${shown}
    import koffi from 'koffi';
    const PR_GET_DUMPABLE = 3;
    const prctl = koffi.load(null).func('int prctl(int option, ulong a, ulong b, ulong c, ulong d)');
    const before = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0);
    console.log(before, await seclude(), prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), readdirSync('/proc/self/fd').includes('0'));
  `;
  t.equal(await runModule(code), '1 true 0 true\n');
});
