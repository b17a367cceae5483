import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EngineUnavailableError } from '../../src/errors.ts';
import { keyOf, until } from '../reconcile/harness.ts';
import { asAlice, sharedKey, stack } from './stack.ts';
import { authenticate, dial, sessionPath, speaks } from './websocket/clients.ts';

const alice = { 'x-user-id': 'alice' };

test("the first message is the terminal's key, whatever the client's was; what follows passes", async (t) => {
  const proxy = await stack(t);
  const server = speaks(t, proxy);
  const client = await dial(t, proxy);
  authenticate(client);
  client.socket.send('{"type":"resize","cols":80,"rows":24}');
  client.socket.send(Buffer.from('ls\n'));
  const terminal = await server.peer();
  assert.deepEqual(await terminal.messages(3), [
    '{"type":"auth","token":"key-of-terminals-default-alice"}',
    '{"type":"resize","cols":80,"rows":24}',
    Buffer.from('ls\n'),
  ]);
});

test('context and policy choose the terminal, as they do for requests', async (t) => {
  const proxy = await stack(t);
  const server = speaks(t, proxy);
  const client = await dial(t, proxy, `/p/default${sessionPath}`, {
    ...alice,
    'x-terminal-context-id': 'chat:1',
  });
  authenticate(client);
  await server.peer();
  assert.equal(proxy.backend.actual(keyOf('alice', 'default', 'chat:1'))?.phase, 'Running');
  assert.equal(proxy.backend.count('create'), 1);
});

test('an open WebSocket, however silent, is one of its terminal until it ends', async (t) => {
  const proxy = await stack(t);
  const server = speaks(t, proxy);
  const client = await dial(t, proxy);
  authenticate(client);
  await server.peer();
  const open = () => [...proxy.reconciler.entries].map(({ sockets }) => sockets);
  await until(() => open()[0] === 1, 'it is counted');
  client.socket.close();
  await until(() => open()[0] === 0, 'it is counted no more');
});

interface Case {
  readonly what: string;
  readonly code: number;
  readonly path?: string;
  readonly headers?: Record<string, string>;
  readonly first?: string | Buffer;
}

const auth = JSON.stringify({ type: 'auth', token: sharedKey });
const cases: readonly Case[] = [
  { what: 'a wrong key', code: 4001, first: JSON.stringify({ type: 'auth', token: 'wrong' }) },
  { what: 'an empty key', code: 4001, first: JSON.stringify({ type: 'auth', token: '' }) },
  { what: 'a first message that is no JSON', code: 4001, first: 'hello' },
  { what: 'a first message of another type', code: 4001, first: '{"type":"resize"}' },
  { what: 'a binary first message', code: 4001, first: Buffer.from(auth) },
  { what: 'a first message that is too large', code: 1009, first: 'x'.repeat(70_000) },
  { what: 'no user', code: 4002, headers: {}, path: '/api/terminals/s-1' },
  {
    what: 'a user in the query that is not the one of the header',
    code: 4003,
    path: '/api/terminals/s-1?user_id=bob',
  },
  { what: 'an unknown policy', code: 4004, path: `/p/nowhere${sessionPath}` },
  { what: 'a policy that is not valid percent-encoding', code: 4004, path: `/p/%zz${sessionPath}` },
  { what: 'an unknown context', code: 4004, headers: { ...alice, 'x-terminal-context-id': 'other:1' } },
  { what: 'another path', code: 4004, path: '/execute' },
  { what: 'a path below a session', code: 4004, path: '/api/terminals/s-1/x' },
];
for (const { what, code, path, headers, first = auth } of cases) {
  test(`${what} closes with ${code} and says why, and no terminal is made`, async (t) => {
    const proxy = await stack(t);
    const client = await dial(t, proxy, path, headers);
    client.socket.send(first);
    const [closed, reason] = await client.closed();
    assert.equal(closed, code);
    assert.ok(reason.length > 0);
    assert.doesNotMatch(reason, new RegExp(sharedKey));
    assert.equal(proxy.backend.count('create'), 0);
    const line = await proxy.line('websocket refused');
    assert.equal(line.closeCode, code);
    assert.ok(!proxy.logText().includes(sharedKey));
    assert.equal(proxy.sockets.open, 0);
  });
}

test('an engine that is down closes with 4003', async (t) => {
  const proxy = await stack(t);
  proxy.backend.inject('create', {
    before: () => {
      throw new EngineUnavailableError('The engine does not answer.', 'Start it.');
    },
  });
  const client = await dial(t, proxy);
  authenticate(client);
  assert.deepEqual(await client.closed(), [4003, 'The engine does not answer.']);
});

test('a terminal that takes no connection closes with 4003, and is looked up again', async (t) => {
  const proxy = await stack(t);
  const server = speaks(t, proxy);
  const before = await dial(t, proxy);
  authenticate(before);
  await server.peer();
  await proxy.upstream.close();
  const looked = proxy.backend.count('inspect');
  const client = await dial(t, proxy);
  authenticate(client);
  assert.equal((await client.closed())[0], 4003);
  await until(() => proxy.backend.count('inspect') > looked, 'the look');
});

test('a client that leaves before it has said anything is no failure', async (t) => {
  const proxy = await stack(t);
  const client = await dial(t, proxy);
  client.socket.close(1000);
  await until(() => proxy.sockets.open === 0, 'nothing is left');
  assert.equal((await client.closed())[0], 1000);
});

test('a client that goes away while its terminal starts is not waited for, and nothing of it stays', async (t) => {
  const proxy = await stack(t);
  const server = speaks(t, proxy);
  const { promise, resolve } = Promise.withResolvers<void>();
  proxy.backend.inject('create', { before: () => promise });
  const client = await dial(t, proxy);
  authenticate(client);
  await until(() => proxy.backend.count('create') === 1, 'the start began');
  client.socket.terminate();
  await until(() => proxy.sockets.open === 0, 'nothing is left');
  assert.equal([...proxy.reconciler.entries][0]?.waiters.size, 0);
  resolve();
  await until(() => proxy.backend.actual(keyOf('alice')) !== undefined, 'the start ended');
  assert.equal(server.peers.filter(({ socket }) => socket.readyState === 1).length, 0);
});

test('pings before the first message are answered', async (t) => {
  const proxy = await stack(t);
  const client = await dial(t, proxy);
  let pong = '';
  client.socket.on('pong', (data) => {
    pong = data.toString();
  });
  client.socket.ping('p');
  await until(() => pong === 'p', 'the pong');
});

test('in open mode no first message is waited for', async (t) => {
  const proxy = await stack(t, { key: null });
  const server = speaks(t, proxy);
  await dial(t, proxy);
  const terminal = await server.peer();
  assert.equal((await terminal.messages(1)).length, 1);
});

test('a WebSocket that is through is one line that says who and where, and holds no secret', async (t) => {
  const proxy = await stack(t);
  const server = speaks(t, proxy);
  const client = await dial(t, proxy, `${sessionPath}&token=hidden`, { ...asAlice, cookie: 'x=hidden' });
  await server.peer();
  const { time, ms, ...line } = await proxy.line('websocket');
  assert.ok(typeof time === 'string' && typeof ms === 'number');
  assert.deepEqual(line, {
    level: 'info',
    path: '/api/terminals/s-1',
    user: 'alice',
    policy: 'default',
    terminal: 'terminals-default-alice',
    admittedBy: 'shared-key',
    msg: 'websocket',
  });
  assert.doesNotMatch(proxy.logText(), /hidden/);
  assert.ok(!proxy.logText().includes(sharedKey));
  assert.ok(!proxy.logText().includes('key-of-'));
  client.socket.terminate();
});
