import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FirstMessage, FirstMessageReader } from '../../../src/proxy/websocket/first-message.ts';
import { encodeFrame, opcodes, ProtocolError } from '../../../src/proxy/websocket/frames.ts';

const limit = 1_000;
const auth = JSON.stringify({ type: 'auth', token: 'the-token' });
const text = (payload: string) => encodeFrame(opcodes.text, Buffer.from(payload), true);

/** A masked frame that is not the last of its message, or continues one. */
function fragment(opcode: number, payload: string, fin: boolean): Buffer {
  const frame = encodeFrame(opcode, Buffer.from(payload), true);
  frame.writeUInt8((fin ? 0x80 : 0) | opcode, 0);
  return frame;
}

function read(...chunks: readonly Buffer[]): { first: FirstMessage | null; controls: number[] } {
  const controls: number[] = [];
  const reader = new FirstMessageReader(limit, ({ opcode }) => controls.push(opcode));
  let first: FirstMessage | null = null;
  for (const chunk of chunks) first ??= reader.push(chunk);
  return { first, controls };
}

test('an auth message is taken out: its token is read, and nothing of it is passed on', () => {
  const { first } = read(text(auth));
  assert.equal(first?.token, 'the-token');
  assert.equal(first.passOn.length, 0);
  assert.equal(first.rest.length, 0);
});

test('it may come byte by byte', () => {
  const { first } = read(...[...text(auth)].map((byte) => Buffer.from([byte])));
  assert.equal(first?.token, 'the-token');
});

test('it may come in fragments, with a ping in between', () => {
  const parts = [
    fragment(opcodes.text, auth.slice(0, 5), false),
    encodeFrame(opcodes.ping, Buffer.from('p'), true),
    fragment(opcodes.continuation, auth.slice(5, 9), false),
    fragment(opcodes.continuation, auth.slice(9), true),
  ];
  for (const chunks of [parts, [Buffer.concat(parts)]]) {
    const { first, controls } = read(...chunks);
    assert.equal(first?.token, 'the-token');
    assert.deepEqual(controls, [opcodes.ping]);
  }
});

test('what comes behind it is kept, byte for byte', () => {
  const behind = Buffer.concat([encodeFrame(opcodes.binary, Buffer.from('ls\n'), true), Buffer.from([0x81])]);
  const { first } = read(Buffer.concat([text(auth), behind]));
  assert.deepEqual(first?.rest, behind);
});

const others: readonly (readonly [what: string, frame: Buffer])[] = [
  ['a binary message, also one that says auth', encodeFrame(opcodes.binary, Buffer.from(auth), true)],
  ['text that is no JSON', text('hello')],
  ['JSON that is no object', text('"auth"')],
  ['null', text('null')],
  ['a list', text('["auth"]')],
  ['an object of another type', text('{"type":"resize","cols":80}')],
  ['an empty message', text('')],
];
for (const [what, frame] of others) {
  test(`${what} is no auth message and is passed on as it came`, () => {
    const { first } = read(frame);
    assert.equal(first?.token, null);
    assert.deepEqual(first.passOn, frame);
  });
}

test('an auth message without a token, or with one that is no text, is one with an empty token', () => {
  for (const message of ['{"type":"auth"}', '{"type":"auth","token":null}', '{"type":"auth","token":7}']) {
    assert.equal(read(text(message)).first?.token, '');
  }
});

const refused: readonly (readonly [what: string, chunk: Buffer, code: number])[] = [
  ['a frame that is not masked', encodeFrame(opcodes.text, Buffer.from(auth), false), 1002],
  ['a continuation of nothing', fragment(opcodes.continuation, 'x', true), 1002],
  [
    'a message within a message',
    Buffer.concat([fragment(opcodes.text, 'x', false), fragment(opcodes.text, 'y', true)]),
    1002,
  ],
  ['a message above the limit', text('x'.repeat(limit)), 1009],
  [
    'fragments that are together above the limit',
    Buffer.concat([
      fragment(opcodes.text, 'x'.repeat(600), false),
      fragment(opcodes.continuation, 'x'.repeat(600), true),
    ]),
    1009,
  ],
];
for (const [what, chunk, code] of refused) {
  test(`${what} ends the connection with ${code}`, () => {
    assert.throws(() => read(chunk), { name: ProtocolError.name, closeCode: code });
  });
}

test('a message above the limit is refused by its header already, before its payload is there', () => {
  assert.throws(() => read(text('x'.repeat(limit)).subarray(0, 8)), { closeCode: 1009 });
});

test('a message as large as the limit is taken', () => {
  const { first } = read(text('x'.repeat(limit - 8)));
  assert.equal(first?.passOn.length, limit);
});
