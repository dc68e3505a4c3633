import t from 'tap';
import { WINDOW_BYTES, WindowPool } from '../../src/launcher/window.ts';

function open(pool = new WindowPool()) {
  const told = { full: 0, drained: 0, sent: '' };
  const window = pool.open({
    onPiece: ({ bytes }) => {
      told.sent += Buffer.from(bytes).toString('latin1');
    },
    onFull: () => told.full++,
  });
  window.onDrain = () => told.drained++;
  const from = (offset: number) =>
    [...window.from(offset)].map(({ stream, offset: at, bytes }) => `${stream}@${at}:${Buffer.from(bytes)}`);
  return { window, told, from };
}

t.test('everything that is not acknowledged can be sent again, from any byte on', async (t) => {
  const { window, told, from } = open();
  window.write('stdout', Buffer.from('abc'));
  window.write('stdout', Buffer.from('def'));
  window.write('stderr', Buffer.from('ghi'));
  t.equal(told.sent, 'abcdefghi');
  t.same(from(0), ['stdout@0:abcdef', 'stderr@6:ghi']);
  t.same(from(4), ['stdout@4:ef', 'stderr@6:ghi']);
  t.same(from(9), []);
  window.acknowledge(6);
  t.same(from(0), ['stderr@6:ghi']);
  window.acknowledge(9);
  t.same(from(0), []);
});

t.test('a piece of which a part is acknowledged stays', async (t) => {
  const { window, from } = open();
  window.write('stdout', Buffer.from('abcdef'));
  window.acknowledge(3);
  t.same(from(3), ['stdout@3:def']);
});

t.test('a full window pauses the script and asks for an acknowledgement, which lets it go on', async (t) => {
  const { window, told } = open();
  t.ok(window.write('stdout', Buffer.alloc(WINDOW_BYTES / 2)));
  t.notOk(window.write('stdout', Buffer.alloc(WINDOW_BYTES / 2)));
  t.same([told.full, told.drained, window.isPaused], [1, 0, true]);
  window.acknowledge(WINDOW_BYTES / 2);
  t.same([told.drained, window.isPaused], [1, false]);
});

t.test('many windows together are paused at the bound of memory', async (t) => {
  const pool = new WindowPool();
  const half = Buffer.alloc(WINDOW_BYTES / 2);
  const windows = Array.from({ length: 180 }, () => open(pool));
  const refused = windows.filter(({ window }) => !window.write('stdout', half));
  t.ok(refused.length > 0);
  t.ok(
    windows.every(({ told }, i) => i > 100 || told.full > 0),
    'all that hold something are asked',
  );
  for (const { window } of windows) pool.close(window);
  t.ok(refused.every(({ told }) => told.drained > 0));
});

t.test('a window that nobody reads any more takes all, and keeps nothing', async (t) => {
  const pool = new WindowPool();
  const { window, told } = open(pool);
  while (window.write('stdout', Buffer.alloc(100_000)));
  window.discard();
  t.same([told.drained, window.isPaused], [1, false]);
  for (let i = 0; i < 1000; i++) if (!window.write('stdout', Buffer.alloc(1_000_000))) t.fail('the script waits');
  t.same([...window.from(0)], []);
  t.ok(pool.hasRoom);
});

t.test('single bytes that alternate between the streams do not fill the memory', async (t) => {
  const { window } = open();
  let count = 0;
  while (window.write(count % 2 === 0 ? 'stdout' : 'stderr', Buffer.from('x'))) count++;
  t.ok(count < 10_000, `${count} pieces`);
});
