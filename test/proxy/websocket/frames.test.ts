import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  encodeClose,
  encodeFrame,
  FrameTracker,
  opcodes,
  ProtocolError,
  readHeader,
  unmask,
} from '../../../src/proxy/websocket/frames.ts';

const bytes = (...values: readonly number[]) => Buffer.from(values);

/** RFC 6455 5.2: lengths at each side of where the form of the header changes. */
const lengths: readonly (readonly [length: number, header: Buffer])[] = [
  [0, bytes(0x82, 0)],
  [1, bytes(0x82, 1)],
  [125, bytes(0x82, 125)],
  [126, bytes(0x82, 126, 0, 126)],
  [127, bytes(0x82, 126, 0, 127)],
  [65_535, bytes(0x82, 126, 0xff, 0xff)],
  [65_536, bytes(0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0)],
];
for (const [length, header] of lengths) {
  test(`a payload of ${length} bytes has a header of ${header.length} bytes, and 4 more where it is masked`, () => {
    const payload = Buffer.alloc(length, 'x');
    const frame = encodeFrame(opcodes.binary, payload, false);
    assert.deepEqual(frame.subarray(0, header.length), header);
    assert.deepEqual(frame.subarray(header.length), payload);
    const expected = { fin: true, opcode: 2, mask: null, size: header.length, length };
    assert.deepEqual(readHeader(frame, 0), expected);

    const masked = encodeFrame(opcodes.binary, payload, true);
    const read = readHeader(masked, 0);
    assert.ok(read);
    assert.deepEqual([read.size, read.length, read.mask?.length], [header.length + 4, length, 4]);
    assert.deepEqual(unmask(masked.subarray(read.size), read.mask), payload);
  });

  test(`a header for ${length} bytes that has not come whole is waited for`, () => {
    const masked = encodeFrame(opcodes.binary, Buffer.alloc(length), true);
    for (let count = 0; count < header.length + 4; count += 1) {
      assert.equal(readHeader(masked.subarray(0, count), 0), null);
    }
  });
}

test('the examples of RFC 6455 5.7 are read as they say', () => {
  const hello = bytes(0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58);
  const header = readHeader(hello, 0);
  assert.ok(header);
  assert.equal(unmask(hello.subarray(header.size), header.mask).toString(), 'Hello');
  assert.deepEqual(readHeader(bytes(0x01, 0x03), 0), {
    fin: false,
    opcode: 1,
    mask: null,
    size: 2,
    length: 3,
  });
  assert.equal(readHeader(bytes(0x80, 0x02), 0)?.opcode, opcodes.continuation);
  assert.equal(readHeader(bytes(0x89, 0x05), 0)?.opcode, opcodes.ping);
});

const refused: readonly (readonly [what: string, frame: Buffer, code: number])[] = [
  ['the reserved bit 1 (compression)', bytes(0xc1, 0), 1002],
  ['the reserved bit 2', bytes(0xa1, 0), 1002],
  ['the reserved bit 3', bytes(0x91, 0), 1002],
  ...[3, 4, 5, 6, 7, 11, 12, 13, 14, 15].map(
    (opcode) => [`the unknown opcode ${opcode}`, bytes(0x80 | opcode, 0), 1002] as const,
  ),
  ['a fragmented ping', bytes(0x09, 0), 1002],
  ['a fragmented close', bytes(0x08, 0), 1002],
  ['a control frame of 126 bytes', bytes(0x88, 126, 0, 126), 1002],
  ['a control frame with a 64-bit length', bytes(0x8a, 127, 0, 0, 0, 0, 0, 0, 0, 1), 1002],
  ['a length beyond what can be counted', bytes(0x82, 127, 0x7f, 255, 255, 255, 255, 255, 255, 255), 1009],
  ['a length with its sign bit set', bytes(0x82, 127, 0xff, 255, 255, 255, 255, 255, 255, 255), 1009],
];
for (const [what, frame, code] of refused) {
  test(`${what} ends the connection with ${code}`, () => {
    assert.throws(() => readHeader(frame, 0), { name: ProtocolError.name, closeCode: code });
  });
}

test('unmasking leaves the original as it was', () => {
  const payload = bytes(1, 2, 3, 4, 5);
  unmask(payload, bytes(255, 255, 255, 255));
  assert.deepEqual(payload, bytes(1, 2, 3, 4, 5));
});

test('a Close frame carries code and reason; a reason too long is cut, never within a character', () => {
  assert.deepEqual(encodeClose(4001, 'no', false), bytes(0x88, 4, 0x0f, 0xa1, 0x6e, 0x6f));
  for (const reason of ['x'.repeat(123), 'x'.repeat(500), 'ü'.repeat(200), '😀'.repeat(100)]) {
    const frame = encodeClose(4003, reason, false);
    const header = readHeader(frame, 0);
    assert.ok(header && header.length <= 125 && header.length > 115);
    const text = new TextDecoder('utf-8', { fatal: true }).decode(frame.subarray(header.size + 2));
    assert.ok(reason.startsWith(text));
  }
});

test('the cut of a reason takes no longer for a long one', () => {
  const began = performance.now();
  for (const reason of ['x'.repeat(30_000), '😀'.repeat(15_000)])
    assert.equal(encodeClose(4004, reason, false).length <= 127, true);
  assert.ok(performance.now() - began < 1_000, `${performance.now() - began} ms`);
});

const frames = fc.array(
  fc.record({
    opcode: fc.constantFrom(opcodes.text, opcodes.binary, opcodes.ping),
    length: fc.oneof(fc.integer({ min: 0, max: 125 }), fc.constantFrom(0, 124, 125)),
    long: fc.constantFrom(0, 0, 0, 200, 66_000),
    masked: fc.boolean(),
  }),
  { minLength: 1, maxLength: 8 },
);

test('however a stream of frames is cut into chunks, it is followed from boundary to boundary', () => {
  fc.assert(
    fc.property(frames, fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1 }), (each, cuts) => {
      const ends = new Set<number>();
      const all: Buffer[] = [];
      let total = 0;
      for (const { opcode, length, long, masked } of each) {
        const size = opcode === opcodes.ping ? length : length + long;
        const frame = encodeFrame(opcode, Buffer.alloc(size), masked);
        all.push(frame);
        total += frame.length;
        ends.add(total);
      }
      const stream = Buffer.concat(all);
      const tracker = new FrameTracker();
      let at = 0;
      for (let index = 0; at < stream.length; index += 1) {
        const cut = Math.min(at + (cuts[index % cuts.length] ?? 1), stream.length);
        const end = tracker.push(stream.subarray(at, cut));
        const first = [...ends].filter((each) => each > at && each <= cut).sort((a, b) => a - b)[0];
        assert.equal(end, first === undefined ? -1 : first - at);
        assert.equal(tracker.atBoundary, ends.has(cut));
        at = cut;
      }
      assert.equal(tracker.closed, false);
    }),
    { numRuns: 200 },
  );
});

test('a Close frame that goes by is noticed, also byte by byte', () => {
  const tracker = new FrameTracker();
  for (const byte of encodeClose(1000, 'bye', true)) tracker.push(bytes(byte));
  assert.equal(tracker.closed, true);
  assert.equal(tracker.atBoundary, true);
});
