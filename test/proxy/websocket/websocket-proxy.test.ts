import assert from 'node:assert/strict';
import http from 'node:http';
import net, { type AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { encodeFrame, opcodes } from '../../../src/proxy/websocket/frames.ts';
import {
  type Admission,
  Refusal,
  WebSocketProxy,
  type WebSocketProxyOptions,
} from '../../../src/proxy/websocket/websocket-proxy.ts';
import { until } from '../../reconcile/harness.ts';
import { authenticate, dial } from './clients.ts';

/** A proxy alone, with time limits that a test can wait for. */
async function alone(t: TestContext, options: Partial<WebSocketProxyOptions> = {}) {
  const outcomes: (Refusal | null)[] = [];
  const proxy = new WebSocketProxy({
    refusesEarly: async () => new Refusal(4001, 'no key'),
    admit: () => Promise.reject(new Refusal(4003, 'nowhere to go')),
    outcome: (_request, refusal) => outcomes.push(refusal),
    firstMessageTimeoutMs: 100,
    firstMessageBytes: 1_000,
    connectTimeoutMs: 100,
    ...options,
  });
  const server = http.createServer();
  server.on('upgrade', (request, socket, head) => proxy.handleUpgrade(request, socket, head));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return { proxy, outcomes, port: (server.address() as AddressInfo).port };
}

/** Something that listens and does nothing else. */
async function silentTerminal(t: TestContext): Promise<number> {
  const server = net.createServer((socket) => {
    socket.on('error', () => undefined).resume();
    t.after(() => socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return (server.address() as AddressInfo).port;
}

function admission(port: number, changes: Partial<Admission> = {}): Admission {
  const address = { host: '127.0.0.1', port };
  const nothing = () => undefined;
  return {
    address,
    apiKey: 'k',
    path: '/',
    headers: {},
    touch: nothing,
    join: nothing,
    part: nothing,
    unreachable: nothing,
    ...changes,
  };
}

test('a client that says nothing is closed with 4001 after the time limit', async (t) => {
  const { proxy, outcomes, port } = await alone(t);
  const client = await dial(t, { port });
  assert.deepEqual(await client.closed(), [4001, 'no auth message within 0.1 seconds: no key']);
  await until(() => outcomes.length === 1, 'the outcome');
  assert.equal(proxy.open, 0);
});

test('pings, and a message that never ends, do not put the time limit off', async (t) => {
  const { port } = await alone(t);
  const client = await dial(t, { port });
  client.socket.send('{"type":"auth"', { fin: false });
  const pinging = setInterval(() => client.socket.ping(), 10);
  const [code] = await client.closed();
  clearInterval(pinging);
  assert.equal(code, 4001);
});

test('pings without end before the first message are not answered without end', async (t) => {
  const { outcomes, port } = await alone(t, { firstMessageTimeoutMs: 10_000 });
  const client = await dial(t, { port });
  let pongs = 0;
  client.socket.on('pong', () => {
    pongs += 1;
  });
  for (let count = 0; count < 10_000; count += 1) client.socket.ping();
  assert.deepEqual(await client.closed(), [1008, 'too many control frames before the first message']);
  assert.equal(pongs, 100);
  await until(() => outcomes.length === 1, 'the outcome');
});

test('a frame that is not masked is closed with 1002', async (t) => {
  const { port } = await alone(t, { firstMessageTimeoutMs: 5_000 });
  const client = await dial(t, { port });
  assert.ok('_socket' in client.socket && client.socket._socket instanceof net.Socket);
  client.socket._socket.write(encodeFrame(opcodes.text, Buffer.from('x'), false));
  assert.equal((await client.closed())[0], 1002);
});

test('a terminal that takes the connection and never answers is 4003 after the time limit, and unreachable', async (t) => {
  let unreachable = 0;
  const terminal = await silentTerminal(t);
  const { port } = await alone(t, {
    firstMessageTimeoutMs: 5_000,
    admit: async () =>
      admission(terminal, {
        unreachable: () => {
          unreachable += 1;
        },
      }),
  });
  const client = await dial(t, { port });
  authenticate(client);
  assert.deepEqual(await client.closed(), [4003, 'terminal unreachable: the terminal does not answer']);
  assert.equal(unreachable, 1);
});

test('what fails in a way that nobody thought of is 1011, and tells nothing of itself', async (t) => {
  const { outcomes, port } = await alone(t, {
    firstMessageTimeoutMs: 5_000,
    admit: () => Promise.reject(new Error('hunter2')),
  });
  const client = await dial(t, { port });
  authenticate(client);
  assert.deepEqual(await client.closed(), [1011, 'internal error']);
  await until(() => outcomes.length === 1, 'the outcome');
  assert.match(String(outcomes[0]?.cause), /hunter2/);
});

test('each WebSocket has one outcome, also where many come and go at once', async (t) => {
  const { proxy, outcomes, port } = await alone(t, { firstMessageTimeoutMs: 5_000 });
  const clients = await Promise.all(Array.from({ length: 50 }, () => dial(t, { port })));
  assert.equal(proxy.open, 50);
  clients.forEach((client, index) => {
    if (index % 2 === 0) authenticate(client);
    else client.socket.terminate();
  });
  await until(() => outcomes.length === 50, 'all outcomes');
  const codes = outcomes.map((outcome) => outcome?.closeCode);
  assert.equal(codes.filter((code) => code === 4003).length, 25);
  assert.equal(proxy.open, 0);
});
