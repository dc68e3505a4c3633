import t from 'tap';
import { WaitingSecrets } from '../../src/actors/waiting-secrets.ts';

t.test('secrets are kept until their command takes them, and there is room for so many', async (t) => {
  const secrets = new WaitingSecrets(100);
  const large = { TOKEN: 'x'.repeat(60) };
  t.ok(secrets.hasRoomFor(large));
  secrets.keep('a', large);
  t.notOk(secrets.hasRoomFor(large));
  t.ok(secrets.hasRoomFor({}), 'a command without secrets');
  t.same(secrets.take('a'), large);
  t.same(secrets.take('a'), {}, 'forgotten');
  t.ok(secrets.hasRoomFor(large));
});

t.test('secrets that are larger than all the room have it for themselves', async (t) => {
  const secrets = new WaitingSecrets(10);
  t.ok(secrets.hasRoomFor({ TOKEN: 'x'.repeat(60) }));
  secrets.keep('a', { TOKEN: 'x'.repeat(60) });
  t.notOk(secrets.hasRoomFor({ TOKEN: 'abcdef' }));
});
