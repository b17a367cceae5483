import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { encodeClose, encodeFrame, opcodes } from '../../../src/proxy/websocket/frames.ts';
import { keyOf, until } from '../../reconcile/harness.ts';
import { asAlice, RawClient, settled, sharedKey, stack } from '../stack.ts';
import { authenticate, dial, joined, type Peer, sessionPath, speaks } from './clients.ts';

test('text and binary messages of every size arrive whole, both ways and in order', async (t) => {
  const proxy = await stack(t);
  const { client, terminal } = await joined(t, proxy);
  const messages = [
    'resize',
    '',
    Buffer.alloc(0),
    ...[1, 125, 126, 65_535, 65_536, 1024 * 1024].map((length) => randomBytes(length)),
    'ü😀'.repeat(1000),
  ];
  for (const [from, to] of [
    [client, terminal],
    [terminal, client],
  ] as const) {
    for (const message of messages) from.socket.send(message);
    assert.deepEqual(await to.messages(messages.length), messages);
  }
});

test('messages both ways at once do not get in the way of each other', async (t) => {
  const proxy = await stack(t);
  const { client, terminal } = await joined(t, proxy);
  const large = randomBytes(1024 * 1024);
  for (let round = 0; round < 8; round += 1) {
    client.socket.send(large);
    terminal.socket.send(large);
  }
  for (const side of [client, terminal]) {
    assert.ok((await side.messages(8)).every((message) => large.equals(Buffer.from(message))));
  }
});

test('fragments, pings and pongs pass through', async (t) => {
  const proxy = await stack(t);
  const { client, terminal } = await joined(t, proxy);
  client.socket.send('one, ', { fin: false });
  client.socket.send('two', { fin: true });
  assert.deepEqual(await terminal.messages(1), ['one, two']);
  let pings = 0;
  let pongs = 0;
  terminal.socket.on('ping', (data) => {
    pings += data.toString() === 'p' ? 1 : 0;
  });
  client.socket.on('pong', () => {
    pongs += 1;
  });
  client.socket.ping('p');
  await until(() => pings === 1 && pongs === 1, 'ping and pong');
});

for (const [code, reason] of [
  [1000, 'done'],
  [1001, ''],
  [1011, 'oops'],
  [4000, "the terminal's own"],
  [4999, 'x'.repeat(123)],
] as const) {
  test(`the terminal's close code ${code} reaches the client, and the client's the terminal`, async (t) => {
    const proxy = await stack(t);
    const first = await joined(t, proxy);
    first.terminal.socket.close(code, reason);
    assert.deepEqual(await first.client.closed(), [code, reason]);
    const second = await joined(t, proxy);
    second.client.socket.close(code, reason);
    assert.deepEqual(await second.terminal.closed(), [code, reason]);
    assert.deepEqual(await second.client.closed(), [code, reason]);
    await until(() => proxy.sockets.open === 0, 'nothing is left');
  });
}

test('a terminal that ends without a word: the client is told 1011', async (t) => {
  const proxy = await stack(t);
  const { client, terminal } = await joined(t, proxy);
  terminal.socket.terminate();
  assert.equal((await client.closed())[0], 1011);
  await until(() => proxy.sockets.open === 0, 'nothing is left');
});

test('a terminal that ends in the middle of a frame: the client sees the connection end, not a frame of another', async (t) => {
  const proxy = await stack(t);
  const server = speaks(t, proxy);
  const client = await dial(t, proxy);
  authenticate(client);
  const terminal = await server.peer();
  const half = encodeFrame(opcodes.binary, Buffer.alloc(1000), false).subarray(0, 500);
  rawSocket(terminal).end(half);
  assert.equal((await client.closed())[0], 1006);
  assert.equal(client.received.length, 0);
});

test('a client that ends without a word: the terminal sees it', async (t) => {
  const proxy = await stack(t);
  const { client, terminal } = await joined(t, proxy);
  client.socket.terminate();
  await terminal.closed();
  await until(() => proxy.sockets.open === 0, 'nothing is left');
});

test('a client that breaks the protocol is cut, and so is its connection to the terminal', async (t) => {
  const proxy = await stack(t);
  const server = speaks(t, proxy);
  const client = await rawClient(t, proxy);
  const terminal = await server.peer();
  client.socket.write(Buffer.from([0xff, 0xff, 0xff, 0xff]));
  await client.untilEnd();
  await terminal.closed();
  await until(() => proxy.sockets.open === 0, 'nothing is left');
});

test('a client that never ends its side after the goodbye does not stay for ever', async (t) => {
  const proxy = await stack(t);
  const server = speaks(t, proxy);
  const client = await rawClient(t, proxy);
  // It reads to the end, answers nothing, and keeps its own half open.
  client.socket.allowHalfOpen = true;
  const goodbye = encodeClose(1000, '', false);
  rawSocket(await server.peer()).end(goodbye);
  await until(() => client.received.endsWith(goodbye.toString('latin1')), 'the goodbye');
  await until(() => proxy.sockets.open === 0, 'nothing is left');
});

/** What ws writes its frames to. */
function rawSocket({ socket }: Peer): Socket {
  assert.ok('_socket' in socket && socket._socket instanceof Socket);
  return socket._socket;
}

/** A WebSocket of bytes, authenticated. */
async function rawClient(t: Parameters<typeof stack>[0], proxy: { port: number }): Promise<RawClient> {
  const client = await RawClient.connect(t, proxy);
  client.write(
    `GET ${sessionPath} HTTP/1.1\r\nHost: x\r\nX-User-Id: alice\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
  );
  await client.until(/\r\n\r\n/);
  const auth = JSON.stringify({ type: 'auth', token: sharedKey });
  client.socket.write(encodeFrame(opcodes.text, Buffer.from(auth), true));
  return client;
}

for (const slow of ['client', 'terminal'] as const) {
  test(`a ${slow} that does not read holds the other back: no more than some MiB are taken in, and all arrive in the end`, async (t) => {
    const proxy = await stack(t);
    const ends = await joined(t, proxy);
    const reader = ends[slow];
    const writer = ends[slow === 'client' ? 'terminal' : 'client'];
    reader.socket.pause();
    const chunk = Buffer.alloc(64 * 1024);
    const count = 1024;
    for (let sent = 0; sent < count; sent += 1) writer.socket.send(chunk);
    const taken = count * chunk.length - (await settled(() => writer.socket.bufferedAmount));
    assert.ok(taken > 0 && taken < 32 * 1024 * 1024, `${taken} bytes are under way`);
    reader.socket.resume();
    await reader.messages(count);
  });
}

test('every byte counts as use of the terminal, either direction', async (t) => {
  const proxy = await stack(t);
  const { client, terminal } = await joined(t, proxy);
  const [entry] = proxy.reconciler.entries;
  assert.ok(entry);
  for (const side of [client, terminal]) {
    const before = entry.lastActivityAt;
    await until(() => Date.now() > before, 'the clock goes on');
    side.socket.send('x');
    await until(() => entry.lastActivityAt > before, 'it counts');
  }
});

test('at a shutdown every client is told 1012, also in the middle of a message, and new ones are refused', async (t) => {
  const proxy = await stack(t);
  const server = speaks(t, proxy);
  const silent = await dial(t, proxy);
  const open = await dial(t, proxy);
  authenticate(open);
  await server.peer();
  await proxy.sockets.closeAll(1012, 'Terminals restarts; connect again', 500);
  for (const client of [silent, open]) {
    assert.deepEqual(await client.closed(), [1012, 'Terminals restarts; connect again']);
  }
  await assert.rejects(dial(t, proxy), /503/);
  assert.equal(proxy.backend.actual(keyOf('alice'))?.phase, 'Running');
});

test('where the key comes with the handshake, nothing is waited for, and an auth message does not reach the terminal', async (t) => {
  const proxy = await stack(t);
  const server = speaks(t, proxy);
  const client = await dial(t, proxy, sessionPath, asAlice);
  const terminal = await server.peer();
  assert.deepEqual(await terminal.messages(1), ['{"type":"auth","token":"key-of-terminals-default-alice"}']);
  terminal.socket.send('prompt');
  assert.deepEqual(await client.messages(1), ['prompt']);
  authenticate(client);
  client.socket.send('after');
  assert.deepEqual((await terminal.messages(2)).slice(1), ['after']);
});

test('where the key comes with the handshake, a large first message arrives whole', async (t) => {
  const proxy = await stack(t);
  const server = speaks(t, proxy);
  const client = await dial(t, proxy, sessionPath, asAlice);
  const terminal = await server.peer();
  const paste = randomBytes(200_000);
  client.socket.send(paste);
  assert.deepEqual((await terminal.messages(2))[1], paste);
});
