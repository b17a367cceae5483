/** A proxy before the real engine that can be cut, and remembers what was asked of it. @module */

import { randomBytes } from 'node:crypto';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import type { TestContext } from 'node:test';
import Docker from 'dockerode';

/** What becomes of a request before the engine hears of it. */
export type Fault =
  | { readonly kind: 'cut' }
  | { readonly kind: 'refuse'; readonly status?: number; readonly message?: string }
  | { readonly kind: 'delay'; readonly ms: number };

const refused = (status = 500, message = 'a fault of the test') => {
  const refusal = JSON.stringify({ message });
  return `HTTP/1.1 ${status} Refused\r\ncontent-type: application/json\r\ncontent-length: ${refusal.length}\r\nconnection: close\r\n\r\n${refusal}`;
};

export class EngineProxy {
  readonly client: Docker;
  /** The first line of every request, in order. */
  readonly requests: string[] = [];
  /** Gives what passes of each piece of an answer, by its request's first line; where not all of it does, it is cut there. */
  passes: (request: string, answer: Buffer) => Buffer = (_request, answer) => answer;
  /** By a request's first line; null: it goes on as it is. */
  meets: (request: string) => Fault | null = () => null;
  readonly #socketPath: string;
  readonly #server: net.Server;
  /** Clients that are connected, each with its last request. */
  readonly #connections = new Map<net.Socket, string>();

  constructor() {
    this.#socketPath = path.join(os.tmpdir(), `terminals-${randomBytes(4).toString('hex')}.sock`);
    this.client = new Docker({ socketPath: this.#socketPath });
    this.#server = net.createServer((client) => this.#join(client, connectToEngine()));
  }

  /** Takes connections. */
  up(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(this.#socketPath, resolve));
  }

  /** Cuts what is connected; with `up` new connections are taken again. */
  async down(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.cut();
    await closed;
  }

  /** Cuts what is connected, and goes on taking new connections. */
  cut(): void {
    for (const socket of this.#connections.keys()) socket.destroy();
  }

  /** How many connections are open whose last request begins so. */
  open(start: string): number {
    return [...this.#connections.values()].filter((request) => request.startsWith(start)).length;
  }

  #join(client: net.Socket, engine: net.Socket): void {
    this.#connections.set(client, '');
    client.on('data', (data: Buffer) => {
      const line = /^[A-Z]+ \S+ HTTP/.exec(data.toString('latin1'))?.[0];
      if (line) {
        this.#connections.set(client, line);
        this.requests.push(line);
      }
      const fault = line ? this.meets(line) : null;
      if (fault === null) engine.write(data);
      else if (fault.kind === 'cut') client.destroy();
      else if (fault.kind === 'refuse') client.end(refused(fault.status, fault.message));
      else {
        client.pause();
        setTimeout(() => {
          engine.write(data);
          client.resume();
        }, fault.ms);
      }
    });
    engine.on('data', (data: Buffer) => {
      const passed = this.passes(this.#connections.get(client) ?? '', data);
      if (passed.length < data.length) client.end(passed);
      else client.write(data);
    });
    client.on('error', () => undefined);
    engine.on('error', () => undefined);
    engine.on('close', () => client.destroy());
    client.on('close', () => {
      this.#connections.delete(client);
      engine.destroy();
    });
  }
}

/** Where DOCKER_HOST or the usual socket says. */
function connectToEngine(): net.Socket {
  const { protocol, pathname, hostname, port } = new URL(
    process.env.DOCKER_HOST || 'unix:///var/run/docker.sock',
  );
  return protocol === 'unix:' ? net.connect(pathname) : net.connect(Number(port || 2375), hostname);
}

/** A proxy that is up; it ends with the test. */
export async function proxyFor(t: TestContext): Promise<EngineProxy> {
  const proxy = new EngineProxy();
  await proxy.up();
  t.after(() => proxy.down().catch(() => undefined));
  return proxy;
}
