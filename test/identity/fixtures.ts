/** Real servers to ask about identities: an issuer of tokens, and one that answers as Open WebUI does. */
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  exportJWK,
  generateKeyPair,
  type JWTHeaderParameters,
  type JWTPayload,
  jwtVerify,
  SignJWT,
} from 'jose';
import { sentToken } from '../../src/identity/credentials.ts';
import type { Credentials, SentToken } from '../../src/identity/identity.ts';

export interface TestServer {
  readonly url: string;
  /** Requests so far, by path without query. */
  readonly hits: Map<string, number>;
  /** Cuts every connection instead of answering. */
  down: boolean;
  close(): Promise<void>;
}

/** Ends at the end of the test that started it. */
export interface Scope {
  after(end: () => Promise<void>): void;
}

export async function serve(scope: Scope, handler: RequestListener): Promise<TestServer> {
  const hits = new Map<string, number>();
  const server = createServer((request, response) => {
    const path = pathOf(request);
    hits.set(path, (hits.get(path) ?? 0) + 1);
    if (testServer.down) request.socket.destroy();
    else handler(request, response);
  });
  const url = await listen(server);
  const testServer: TestServer = {
    url,
    hits,
    down: false,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  scope.after(() => testServer.close());
  return testServer;
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

export function pathOf(request: IncomingMessage): string {
  return new URL(request.url ?? '/', 'http://x').pathname;
}

export const nowSeconds = () => Math.floor(Date.now() / 1000);

type SigningKey = Awaited<ReturnType<typeof generateKeyPair>>['privateKey'];

interface IssuerKey {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: SigningKey;
  readonly jwk: Readonly<Record<string, unknown>>;
}

async function issuerKey(kid: string, alg: string): Promise<IssuerKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return { kid, alg, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } };
}

export interface Issuer extends TestServer {
  /** The key that signs now. */
  key: IssuerKey;
  /** The keys that are published. */
  published: IssuerKey[];
  /** Signs with a new key from now on, and publishes only that. */
  rotate(kid: string): Promise<void>;
  /** A good token for `audience`, but for what is given. */
  token(claims?: JWTPayload, header?: Partial<JWTHeaderParameters>): Promise<string>;
}

export const audience = 'terminals';

/** Publishes discovery and keys, and signs tokens. */
export async function startIssuer(scope: Scope, alg = 'ES256'): Promise<Issuer> {
  const key = await issuerKey('first', alg);
  const server = await serve(scope, (request, response) => {
    const answers: Record<string, () => unknown> = {
      '/.well-known/openid-configuration': () => ({ issuer: server.url, jwks_uri: `${server.url}/keys` }),
      '/keys': () => ({ keys: issuer.published.map(({ jwk }) => jwk) }),
    };
    const answer = answers[pathOf(request)];
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(JSON.stringify(answer?.() ?? {}));
  });
  const issuer: Issuer = Object.assign(server, {
    key,
    published: [key],
    async rotate(kid: string) {
      issuer.key = await issuerKey(kid, alg);
      issuer.published = [issuer.key];
    },
    token(claims: JWTPayload = {}, header: Partial<JWTHeaderParameters> = {}) {
      const base = { iss: server.url, aud: audience, sub: 'alice', exp: nowSeconds() + 300 };
      const { kid } = issuer.key;
      return new SignJWT({ ...base, ...claims })
        .setProtectedHeader({ alg, kid, typ: 'at+jwt', ...header })
        .sign(issuer.key.privateKey);
    },
  });
  return issuer;
}

export interface FakeGroup {
  readonly id: string;
  readonly name: string;
}

export interface FakeUser {
  readonly id: string;
  role: 'user' | 'admin' | 'pending';
  groups: FakeGroup[];
}

export interface OpenWebUi extends TestServer {
  readonly secret: string;
  readonly users: Map<string, FakeUser>;
  /** API keys, and whose they are. */
  readonly apiKeys: Map<string, string>;
  /** Which answers it knows: the routes of today, those of before 0.4, or those of before but without members. */
  version: 'today' | 'older' | 'without-members';
  /** Answers with this status whatever is asked. */
  failing: number | null;
  /** Answers only when this resolves. */
  gate: Promise<void>;
  /** A session token as Open WebUI signs it. */
  token(user: string, claims?: JWTPayload, alg?: string): Promise<string>;
  /** The same with JWT_EXPIRES_IN=-1. */
  endlessToken(user: string): Promise<string>;
}

/** The routes that matter, answering as routers/auths.py, users.py and groups.py do. */
export async function startOpenWebUi(scope: Scope): Promise<OpenWebUi> {
  const server = await serve(scope, async (request, response) => {
    await openWebUi.gate;
    const [status, body] =
      openWebUi.failing === null ? await answer(openWebUi, request) : [openWebUi.failing, { detail: 'x' }];
    const page = typeof body === 'string';
    response.writeHead(status, { 'content-type': page ? 'text/html' : 'application/json' });
    response.end(page ? body : JSON.stringify(body));
  });
  const secret = 'a-secret-of-open-webui-that-is-long-enough';
  const openWebUi: OpenWebUi = Object.assign(server, {
    secret,
    users: new Map<string, FakeUser>(),
    apiKeys: new Map<string, string>(),
    version: 'today' as const,
    failing: null,
    gate: Promise.resolve(),
    token: (user: string, claims: JWTPayload = {}, alg = 'HS256') =>
      new SignJWT({ id: user, exp: nowSeconds() + 3600, jti: crypto.randomUUID(), ...claims })
        .setProtectedHeader({ alg, typ: 'JWT' })
        .sign(new TextEncoder().encode(secret)),
    endlessToken: (user: string) =>
      new SignJWT({ id: user, jti: crypto.randomUUID() })
        .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
        .sign(new TextEncoder().encode(secret)),
  });
  return openWebUi;
}

type Answer = readonly [status: number, body: unknown];

const page = '<!doctype html><title>Open WebUI</title>';
const unauthorized: Answer = [401, { detail: '401 Unauthorized' }];

async function answer(openWebUi: OpenWebUi, request: IncomingMessage): Promise<Answer> {
  const url = new URL(request.url ?? '/', 'http://x');
  const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  if (token === undefined) return [403, { detail: 'Not authenticated' }];
  const caller = await callerOf(openWebUi, token);
  if (caller === undefined) return unauthorized;
  if (url.pathname === '/api/v1/auths/') return session(caller, token);
  if (caller.role === 'pending') return unauthorized;
  if (url.pathname === '/api/v1/groups/') return [200, groupList(openWebUi, caller)];
  // For a path it does not know, Open WebUI sends its page.
  if (openWebUi.version !== 'today')
    return url.pathname === '/api/v1/users/groups' ? [400, { detail: 'x' }] : [200, page];
  if (url.searchParams.get('include_inherited') !== 'true') return [200, []];
  if (url.pathname === '/api/v1/users/groups') return [200, caller.groups];
  const named = /^\/api\/v1\/users\/([^/]+)\/groups$/.exec(url.pathname)?.[1];
  if (named === undefined) return [200, page];
  if (caller.role !== 'admin') return unauthorized;
  return [200, openWebUi.users.get(decodeURIComponent(named))?.groups ?? []];
}

async function callerOf(openWebUi: OpenWebUi, token: string): Promise<FakeUser | undefined> {
  const byKey = openWebUi.apiKeys.get(token);
  if (byKey !== undefined) return openWebUi.users.get(byKey);
  const verified = await jwtVerify(token, new TextEncoder().encode(openWebUi.secret)).catch(() => null);
  return openWebUi.users.get(String(verified?.payload.id));
}

function session({ id, role }: FakeUser, token: string): Answer {
  return [
    200,
    { token, token_type: 'Bearer', id, role, email: `${id}@example.org`, name: id, permissions: {} },
  ];
}

/** To an administrator all groups, to others their own. */
function groupList({ users, version }: OpenWebUi, caller: FakeUser): readonly unknown[] {
  const all = new Map<string, FakeGroup & { user_ids?: string[] }>();
  for (const user of users.values()) {
    for (const group of user.groups) {
      const known = all.get(group.id) ?? { ...group, ...(version === 'older' ? { user_ids: [] } : {}) };
      known.user_ids?.push(user.id);
      all.set(group.id, known);
    }
  }
  const own = new Set(caller.groups.map(({ id }) => id));
  return [...all.values()].filter(({ id }) => caller.role === 'admin' || own.has(id));
}

export function addUser(
  openWebUi: OpenWebUi,
  id: string,
  groups: string[],
  role: FakeUser['role'] = 'user',
): void {
  openWebUi.users.set(id, { id, role, groups: groups.map((name) => ({ id: `id-of-${name}`, name })) });
}

export function credentials(given: Partial<Credentials>): Credentials {
  return { authorization: undefined, token: null, userId: undefined, ...given };
}

export function sent(text: string): SentToken {
  const token = sentToken(credentials({ authorization: `Bearer ${text}` }));
  if (token === null) throw new Error('no token');
  return token;
}

/** A clock that is moved by hand. */
export function testClock(): { now: () => number; pass(ms: number): void } {
  let passed = 0;
  return {
    now: () => Date.now() + passed,
    pass(ms) {
      passed += ms;
    },
  };
}
