import fc from 'fast-check';
import t from 'tap';
import {
  type Chunk,
  encodeChunkHead,
  encodeControl,
  FrameReader,
  type ToLauncher,
} from '../../src/launcher/protocol.ts';

const uuid = '0b3a76b4-5a8a-44a9-a7b0-1f3a4d1f6b0e';

t.test('frames arrive as they were sent, however the bytes are cut', async () => {
  const chunk = fc.record({
    uuid: fc.constant(uuid),
    stream: fc.constantFrom('stdout' as const, 'stderr' as const),
    offset: fc.nat(2 ** 31),
    bytes: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  });
  const message = fc.record({
    type: fc.constant('launch' as const),
    uuid: fc.constant(uuid),
    script: fc.string(),
    options: fc.constant({ nice: 1 }),
    inputs: fc.constant({ env: { A: 'ü' } }),
    stdin: fc.constant(undefined),
    secretEnv: fc.constant({ B: 'secret' }),
  });
  fc.assert(
    fc.property(fc.array(fc.oneof(chunk, message)), fc.array(fc.integer({ min: 1, max: 200 })), (sent, cuts) => {
      const wire = Buffer.concat(
        sent.flatMap((item) => ('type' in item ? [encodeControl(item)] : [encodeChunkHead(item), item.bytes])),
      );
      const got: (ToLauncher | Chunk)[] = [];
      const reader = new FrameReader<ToLauncher>(
        (item) => got.push(item),
        (item) => got.push({ ...item, bytes: Buffer.from(item.bytes) }),
      );
      let at = 0;
      for (const cut of [...cuts, wire.length]) {
        if (at < wire.length) reader.push(wire.subarray(at, at + cut));
        at += cut;
      }
      return JSON.stringify(got) === JSON.stringify(sent);
    }),
  );
});

t.test('what is no frame is refused', async (t) => {
  const reader = new FrameReader(() => {});
  t.throws(() => reader.push(Buffer.from('GET / HTTP/1.1\r\n')), /none of ours/);
});
