/** The proxy put together over real sockets: a terminal that is an HTTP server of the test's own, and clients of it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import net, { type AddressInfo, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { TestContext } from 'node:test';
import type { DestinationStream } from 'pino';
import { AdminAccess } from '../../src/admin/access.ts';
import { adminApi } from '../../src/admin/api.ts';
import { healthRoutes } from '../../src/admin/health.ts';
import { Audit } from '../../src/audit.ts';
import { CombinedAuthenticator } from '../../src/identity/combined.ts';
import type { Authenticator } from '../../src/identity/identity.ts';
import { SharedKeys } from '../../src/identity/keys.ts';
import { OpenAuthenticator, SharedKeyMode } from '../../src/identity/shared-key.ts';
import { PolicyWriter } from '../../src/policy/policy-writer.ts';
import { BulkGarbage } from '../../src/proxy/bulk-garbage.ts';
import { Discovery } from '../../src/proxy/discovery.ts';
import { Gateway } from '../../src/proxy/gateway.ts';
import { Router } from '../../src/proxy/route.ts';
import { createServer, discoveryRoute, type ServerOptions } from '../../src/proxy/server.ts';
import { Sessions } from '../../src/proxy/sessions.ts';
import { terminalSockets } from '../../src/proxy/terminal-sockets.ts';
import { Upstreams } from '../../src/proxy/upstreams.ts';
import type { WebSocketProxy } from '../../src/proxy/websocket/websocket-proxy.ts';
import { ActivityStore } from '../../src/reconcile/activity-store.ts';
import type { HostLimits } from '../../src/reconcile/budget.ts';
import { PolicyStatuses } from '../../src/reconcile/policy-status.ts';
import { Reconciler } from '../../src/reconcile/reconciler.ts';
import { Templates } from '../../src/reconcile/templates.ts';
import type { Desired } from '../../src/terminal/terminal.ts';
import { rulesWith } from '../policy/fixtures.ts';
import {
  capturedLog,
  MemoryPolicies,
  policyOf,
  temporaryFolder,
  turns,
  until,
} from '../reconcile/harness.ts';
import { MemoryBackend } from '../reconcile/memory-backend.ts';

export const sharedKey = 'the-shared-key';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

/** The server of a terminal, of which a test says how it answers. */
export interface Upstream {
  readonly port: number;
  readonly server: http.Server;
  /** Requests that reached it, in order. */
  readonly requests: IncomingMessage[];
  handle: Handler;
  upgrade: (request: IncomingMessage, socket: Duplex, head: Buffer) => void;
  close(): Promise<void>;
}

export async function startUpstream(t: TestContext, port = 0): Promise<Upstream> {
  const server = http.createServer();
  const upstream: Upstream = {
    port: 0,
    server,
    requests: [],
    handle: (request, response) => {
      request.resume().on('end', () => response.end('ok'));
    },
    upgrade: (_request, socket) => socket.destroy(),
    close: async () => {
      if (!server.listening) return;
      server.close();
      for (const socket of sockets) socket.destroy();
      await once(server, 'close');
    },
  };
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
  });
  server.on('request', (request, response) => {
    upstream.requests.push(request);
    request.on('error', () => undefined);
    upstream.handle(request, response);
  });
  server.on('upgrade', (request, socket, head) => upstream.upgrade(request, socket, head));
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  Object.assign(upstream, { port: portOf(server) });
  t.after(() => upstream.close());
  return upstream;
}

export interface Stack {
  readonly port: number;
  readonly url: string;
  readonly upstream: Upstream;
  readonly backend: MemoryBackend;
  readonly policies: MemoryPolicies;
  readonly reconciler: Reconciler;
  readonly discovery: Discovery;
  readonly sockets: WebSocketProxy;
  readonly upstreams: Upstreams;
  readonly lines: Record<string, unknown>[];
  /** Takes no more connections; resolves when what is under way has ended. */
  drain(): Promise<void>;
  /** The log as it was written. */
  logText(): string;
  /** The log's line of a finished request, once it is there. */
  line(msg?: string): Promise<Record<string, unknown>>;
}

export interface StackOptions {
  /** null: open mode. */
  readonly key?: string | null;
  readonly policies?: MemoryPolicies;
  readonly notReady?: () => readonly string[];
  readonly host?: HostLimits;
  /** Of the terminal; absent: any. */
  readonly upstreamPort?: number;
  readonly limits?: ServerOptions['limits'];
  /** Where the audit log goes. */
  readonly audit?: DestinationStream;
  readonly firstMessageTimeoutMs?: number;
  readonly answered?: (status: number, ms: number) => void;
}

export async function stack(t: TestContext, options: StackOptions = {}): Promise<Stack> {
  const { policies = new MemoryPolicies(policyOf()), key = sharedKey } = options;
  const upstream = await startUpstream(t, options.upstreamPort);
  const backend = new MemoryBackend(() => ({ host: '127.0.0.1', port: upstream.port }));
  const { log, lines, text } = await capturedLog();
  const authenticator = authenticatorOf(key);
  const templates = new Templates({});
  const activity = new ActivityStore(await temporaryFolder(), log);
  const host = options.host ?? { terminals: null, memoryBytes: null };
  const reconciler = new Reconciler({ backend, policies, templates, activity, host, log });
  const router = new Router({ authenticator, policies, unknownGroups: 'allow' });
  const upstreams = new Upstreams();
  const admit = (desired: Desired) => reconciler.admit(desired);
  const discovery = new Discovery({ backend, policies, templates, admit, log });
  const sessions = new Sessions();
  const audit = new Audit(options.audit ?? null, log);
  const shared = { router, terminals: reconciler, sessions, garbage: new BulkGarbage(), audit, log };
  const { firstMessageTimeoutMs = 10_000 } = options;
  const sockets = terminalSockets({ ...shared, authenticator, firstMessageTimeoutMs });
  const app = createServer({
    gateway: new Gateway({ ...shared, upstreams, answered: options.answered ?? (() => undefined) }),
    log,
    limits: options.limits,
    ownRoutes: (server) => {
      discoveryRoute(server, { discovery, authenticator, policies, audit, log });
      healthRoutes(server, {
        version: '1.2.3',
        backend: backend.kind,
        unenforced: () => ['cpu limit'],
        notReady: options.notReady ?? (() => []),
      });
      adminApi(server, {
        access: new AdminAccess({
          keys: new SharedKeys(key === null ? [] : [key]),
          open: key === null,
          group: null,
          authenticator,
          keyless: key === null,
        }),
        policies,
        reload: async () => undefined,
        rules: rulesWith(),
        templates,
        statuses: new PolicyStatuses({
          policies,
          entries: () => reconciler.entries,
          stateOf: (policy) => reconciler.rollouts.stateOf(policy),
          templates,
        }),
        writer: readOnlyWriter(policies),
        reconciler,
        backend,
        unknownGroups: 'allow',
        version: '1.2.3',
        audit,
        log,
      });
    },
  });
  reconciler.onGone(({ address }) => upstreams.release(address));
  await reconciler.start();
  await app.ready();
  app.server.on('upgrade', (request, socket, head) => sockets.handleUpgrade(request, socket, head));
  await app.listen({ host: '127.0.0.1', port: 0 });
  t.after(async () => {
    const closing = app.close();
    app.server.closeAllConnections();
    await sockets.closeAll(1012, 'the test is over', 0);
    await upstream.close();
    await closing;
    await discovery.close();
    await reconciler.close();
    await upstreams.close();
  });
  const port = portOf(app.server);
  const line = async (msg = 'request') => {
    await until(() => lines.some((each) => each.msg === msg), `a line "${msg}" in the log: ${text()}`);
    return lines.find((each) => each.msg === msg) ?? {};
  };
  const drain = async () => app.close();
  const parts = { upstream, backend, policies, reconciler, discovery, sockets, upstreams };
  return { port, url: `http://127.0.0.1:${port}`, ...parts, drain, lines, logText: text, line };
}

/** Policies that no file declares can't be written. */
function readOnlyWriter(policies: MemoryPolicies): PolicyWriter {
  const store = {
    get current() {
      return policies.current;
    },
    reload: async () => undefined,
  };
  const source = { read: async () => [] };
  return new PolicyWriter({ directory: null, cwd: '/', enabled: false, rules: rulesWith(), source, store });
}

/** The shared key, or open mode where there is none. */
export function authenticatorOf(key: string | null): Authenticator {
  if (key === null) return new OpenAuthenticator();
  const keys = { accepts: (text: string) => text === key };
  return new CombinedAuthenticator([new SharedKeyMode({ keys, forwardedJwt: null, groups: null })]);
}

function portOf(server: net.Server): number {
  return (server.address() as AddressInfo).port;
}

export const asAlice = { authorization: `Bearer ${sharedKey}`, 'x-user-id': 'alice' };

export interface Answer {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

export interface Sent {
  readonly method?: string;
  readonly headers?: http.OutgoingHttpHeaders | readonly string[];
  readonly body?: string | Buffer;
}

/** One request in alice's name, unless other headers are given; the path goes out as it is. */
export async function send({ port }: { port: number }, path: string, sent: Sent = {}): Promise<Answer> {
  const { method = 'GET', headers = asAlice, body } = sent;
  const request = http.request({ host: '127.0.0.1', port, path, method, headers, agent: false });
  request.end(body);
  const response = await answerOf(request);
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    rawHeaders: response.rawHeaders,
    body: await textOf(response),
  };
}

/** A request that the test goes on with by itself. */
export function open({ port }: { port: number }, path: string, sent: Sent = {}): http.ClientRequest {
  const { method = 'POST', headers = asAlice } = sent;
  return http.request({ host: '127.0.0.1', port, path, method, headers, agent: false });
}

export function answerOf(request: http.ClientRequest): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => request.once('response', resolve).once('error', reject));
}

export async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** The next chunk of a stream that goes on. */
export function nextChunk(stream: NodeJS.ReadableStream): Promise<string> {
  return new Promise((resolve) => stream.once('data', (chunk: Buffer) => resolve(chunk.toString())));
}

/** A client that writes what no HTTP library would. */
export class RawClient {
  readonly socket: Socket;
  /** What came, byte for byte. */
  received = '';
  ended = false;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on('data', (chunk) => {
      this.received += chunk.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.ended = true;
    });
  }

  static async connect(t: TestContext, { port }: { port: number }): Promise<RawClient> {
    const socket = net.connect(port, '127.0.0.1');
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    return new RawClient(socket);
  }

  write(text: string): void {
    this.socket.write(Buffer.from(text, 'latin1'));
  }

  until(pattern: RegExp): Promise<void> {
    return until(() => pattern.test(this.received), `${pattern} in ${JSON.stringify(this.received)}`);
  }

  untilEnd(): Promise<void> {
    return until(() => this.ended, `the end after ${JSON.stringify(this.received.slice(0, 500))}`);
  }
}

/** What a number comes to that no longer grows, though this process, which has all of the sockets, came round many times. */
export async function settled(amount: () => number): Promise<number> {
  for (let before = Number.NaN; ; ) {
    const now = amount();
    if (now === before) return now;
    before = now;
    await new Promise((resolve) => setTimeout(resolve, 200));
    await turns();
  }
}

/** The lines of a request's head in alice's name. */
export function head(first: string, ...headers: readonly string[]): string {
  const lines = [
    first,
    'Host: terminals',
    `Authorization: Bearer ${sharedKey}`,
    'X-User-Id: alice',
    ...headers,
  ];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** Checks that an answer is a problem of this type, and gives it. */
export function assertProblem(answer: Answer, status: number, code: string): Record<string, unknown> {
  assert.equal(answer.headers['content-type'], 'application/problem+json', answer.body);
  assert.equal(answer.status, status, answer.body);
  const problem: Record<string, unknown> = JSON.parse(answer.body);
  assert.equal(problem.type, `urn:terminals:problem:${code}`);
  assert.equal(problem.status, status);
  return problem;
}
