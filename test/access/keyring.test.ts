import { appendFileSync, chmodSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { Keyring } from '../../src/access/keyring.ts';
import { lineOf } from '../../src/access/tokens.ts';
import { StartupError } from '../../src/errors.ts';
import { temporaryFolder } from '../helpers/server.ts';
import { until } from '../helpers/until.ts';

function fileWith(t: Test, text: string): string {
  const file = join(temporaryFolder(t), 'tokens');
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

t.test('without a token and a file nobody has to say who he is', async (t) => {
  t.equal(new Keyring().isWanted, false);
  t.equal(new Keyring().callerOf('anything'), undefined);
});

t.test('the token of the environment may do everything, those of the file what their lines say', async (t) => {
  const file = fileWith(t, `${lineOf('ci', ['run'], 'the-token-of-ci')}\n`);
  const keyring = new Keyring({ token: 'sixteen-letters!', file });
  t.equal(keyring.isWanted, true);
  t.same(keyring.callerOf('sixteen-letters!'), { name: 'default', scopes: new Set(['admin']) });
  t.same(keyring.callerOf('the-token-of-ci'), { name: 'ci', scopes: new Set(['run']) });
  for (const token of ['', 'sixteen-letters', 'sixteen-letters!!', 'Sixteen-letters!', 'the-token-of-c']) {
    t.equal(keyring.callerOf(token), undefined, token);
  }
});

t.test('an empty file lets nobody in', async (t) => {
  const keyring = new Keyring({ file: fileWith(t, '# none yet\n') });
  t.equal(keyring.isWanted, true);
  t.equal(keyring.callerOf(''), undefined);
});

t.test('a file that can not be used is refused in words', async (t) => {
  const refuse = (file: string, token?: string) => () => new Keyring({ file, token });
  t.throws(refuse('/nowhere/tokens'), {
    constructor: StartupError,
    message: /tokens \/nowhere\/tokens can't be used: ENOENT/,
  });
  t.throws(refuse(fileWith(t, 'ci run')), { message: /can't be used: line 1: must be/ });
  const taken = fileWith(t, lineOf('default', ['read'], 'x'));
  t.throws(refuse(taken, 'sixteen-letters!'), { message: /the name default is that of SHELLVISOR_TOKEN/ });
  t.doesNotThrow(refuse(taken));
  const open = fileWith(t, '');
  for (const mode of [0o620, 0o602]) {
    chmodSync(open, mode);
    t.throws(refuse(open), { message: /others than its owner may write it; chmod 600 it/ });
  }
});

t.test('a file that changes is in force a moment later, and who is still in it is still the same', async (t) => {
  const file = fileWith(
    t,
    `${lineOf('stays', ['read'], 'a')}\n${lineOf('goes', ['run'], 'b')}\n${lineOf('loses', ['run', 'read'], 'c')}\n`,
  );
  const keyring = new Keyring({ file });
  const errors: string[] = [];
  let changes = 0;
  t.teardown(
    keyring.watch(
      () => changes++,
      ({ message }) => errors.push(message),
    ),
  );
  const [stays, goes, loses] = ['a', 'b', 'c'].map(
    (token) => keyring.callerOf(token) as NonNullable<ReturnType<Keyring['callerOf']>>,
  );
  writeFileSync(
    file,
    `${lineOf('stays', ['read'], 'a')}\n${lineOf('loses', ['run'], 'c')}\n${lineOf('comes', ['stop'], 'd')}\n`,
  );
  await until('the change is in force', () => changes === 1);
  t.equal(keyring.callerOf('a'), stays);
  t.match(keyring.callerOf('d'), { name: 'comes' });
  t.equal(keyring.callerOf('b'), undefined);
  t.same(
    [stays, goes, loses].map((caller) => caller !== undefined && keyring.isCurrent(caller)),
    [true, false, false],
  );

  await t.test('one that can not be used changes nothing, and is told of', async (t) => {
    appendFileSync(file, 'half a li');
    await until('it is told', () => errors.length > 0);
    t.match(errors[0], /line 4: must be/);
    t.equal(keyring.callerOf('a'), stays);
    writeFileSync(file, `${lineOf('comes', ['stop'], 'd')}\n`);
    await until('what mends it is in force', () => changes === 2);
    t.equal(keyring.callerOf('a'), undefined);
    rmSync(file);
    await until('its end is told', () => errors.length > 1);
    t.match(keyring.callerOf('d'), { name: 'comes' });
  });
});
