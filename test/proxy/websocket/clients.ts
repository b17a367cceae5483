/** WebSockets through the proxy: terminals that speak, and clients of them. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { TestContext } from 'node:test';
import { type ClientOptions, type RawData, WebSocket, WebSocketServer } from 'ws';
import { until } from '../../reconcile/harness.ts';
import { type Stack, sharedKey } from '../stack.ts';

export interface Peer {
  readonly socket: WebSocket;
  /** Text as text, binary as a Buffer, in order. */
  readonly received: (string | Buffer)[];
  /** Waits until this many messages came. */
  messages(count: number): Promise<readonly (string | Buffer)[]>;
  /** Waits for the end: code and reason. */
  closed(): Promise<readonly [code: number, reason: string]>;
}

export function peer(socket: WebSocket): Peer {
  const received: (string | Buffer)[] = [];
  let end: readonly [number, string] | null = null;
  socket.on('message', (data: RawData, isBinary) => {
    assert.ok(Buffer.isBuffer(data));
    received.push(isBinary ? data : data.toString());
  });
  socket.on('error', () => undefined);
  socket.on('close', (code, reason) => {
    end = [code, reason.toString()];
  });
  return {
    socket,
    received,
    async messages(count) {
      // Some tests send 64 MiB, which take a while on a busy machine.
      await until(() => received.length >= count, `${count} messages came`, 30_000);
      return received;
    },
    async closed() {
      await until(() => end !== null, 'the end of the WebSocket');
      return end ?? assert.fail();
    },
  };
}

export interface TerminalServer {
  /** WebSockets that reached the terminal, in order. */
  readonly peers: Peer[];
  readonly requests: IncomingMessage[];
  /** Waits for the n-th, from 0. */
  peer(index?: number): Promise<Peer>;
}

/** Lets the stack's upstream speak WebSocket. */
export function speaks(t: TestContext, proxy: Pick<Stack, 'upstream'>): TerminalServer {
  const server = new WebSocketServer({ noServer: true });
  const peers: Peer[] = [];
  const requests: IncomingMessage[] = [];
  proxy.upstream.upgrade = (request, socket, head) => {
    requests.push(request);
    server.handleUpgrade(request, socket, head, (client) => peers.push(peer(client)));
  };
  t.after(() => {
    for (const { socket } of peers) socket.terminate();
  });
  const wait = async (index = 0) => {
    await until(() => peers.length > index, `WebSocket ${index} at the terminal`);
    return peers[index] ?? assert.fail();
  };
  return { peers, requests, peer: wait };
}

export const sessionPath = '/api/terminals/s-1?user_id=alice';

/** A client that has made its handshake and sent nothing yet. */
export async function dial(
  t: TestContext,
  { port }: { port: number },
  path = sessionPath,
  headers: Record<string, string> = { 'x-user-id': 'alice' },
  options: ClientOptions = {},
): Promise<Peer> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { headers, ...options });
  t.after(() => socket.terminate());
  const client = peer(socket);
  await once(socket, 'open');
  return client;
}

export function authenticate({ socket }: Peer, token = sharedKey): void {
  socket.send(JSON.stringify({ type: 'auth', token }));
}

/** Both ends of a WebSocket that is through; the terminal has had its key. */
export async function joined(
  t: TestContext,
  proxy: Stack,
  path = sessionPath,
): Promise<{ client: Peer; terminal: Peer }> {
  const server = speaks(t, proxy);
  const client = await dial(t, proxy, path);
  authenticate(client);
  const terminal = await server.peer();
  await terminal.messages(1);
  terminal.received.length = 0;
  return { client, terminal };
}
