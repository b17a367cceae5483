/**
 * Echo load over WebSockets, in a process of its own: `node websocket-load.ts '{"url": …, "sockets": 100, …}'` prints what it
 * found as JSON. Each socket has one message under way, and sends the next when the echo is whole.
 * @module
 */
import type net from 'node:net';
import { percentile } from './statistics.ts';
import { clientFrame, echoedLength, openSocket, type SocketOptions } from './websocket-client.ts';

export interface WebSocketLoad extends SocketOptions {
  readonly sockets: number;
  /** Bytes of a message. */
  readonly bytes: number;
  readonly seconds: number;
}

export interface WebSocketResult {
  /** Messages a second, all sockets together. */
  readonly rate: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

const connectAtOnce = 50;

async function measure(load: WebSocketLoad): Promise<WebSocketResult> {
  const sockets = await openAll(load);
  const frame = clientFrame(2, Buffer.alloc(load.bytes, 'x'));
  const length = echoedLength(load.bytes);
  const times: number[] = [];
  let from = Number.POSITIVE_INFINITY;
  let to = Number.POSITIVE_INFINITY;
  const echoing = sockets.map((socket) =>
    echo(socket, frame, length, (sent, now) => {
      if (sent >= from && now <= to) times.push(now - sent);
      return now <= to;
    }),
  );
  // The first of each takes the way through admission; only what comes after is counted.
  setTimeout(() => {
    from = performance.now();
    to = from + load.seconds * 1000;
  }, 300);
  await Promise.all(echoing);
  for (const socket of sockets) socket.destroy();
  return { rate: times.length / load.seconds, p50: percentile(times, 50), p99: percentile(times, 99) };
}

async function openAll(load: WebSocketLoad): Promise<readonly net.Socket[]> {
  const sockets: net.Socket[] = [];
  while (sockets.length < load.sockets) {
    const some = Math.min(connectAtOnce, load.sockets - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: some }, () => openSocket(load)))));
  }
  return sockets;
}

/** Sends and hears echoes as long as `heard` says so. */
function echo(
  socket: net.Socket,
  frame: Buffer,
  length: number,
  heard: (sent: number, now: number) => boolean,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let received = 0;
    let sent = performance.now();
    socket.on('close', () => reject(new Error('the connection was closed')));
    socket.on('data', (chunk: Buffer) => {
      received += chunk.length;
      if (received < length) return;
      received -= length;
      const now = performance.now();
      if (!heard(sent, now)) return resolve();
      sent = now;
      socket.write(frame);
    });
    socket.write(frame);
  });
}

process.stdout.write(JSON.stringify(await measure(JSON.parse(process.argv[2] ?? '{}'))));
