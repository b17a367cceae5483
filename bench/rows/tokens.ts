/** What a verified access token costs beside a shared key: the same program, user and terminal, asked with each in turn. @module */
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { ask, type Entrance } from '../contenders/field.ts';
import { callerHeaders, sharedKey, startTerminals } from '../contenders/terminals.ts';
import type { Context, RowGroup } from '../context.ts';
import { userPrefix } from '../docker.ts';
import { freePort } from '../processes.ts';
import { wrk } from './http.ts';

const audience = 'terminals-bench';
const user = `${userPrefix}token`;
const load = { connections: 1, path: '/small', body: null };
const p50 = {
  id: 'token.p50',
  title: 'GET 1 KB, 1 connection, cached OIDC token',
  unit: 'ms',
  better: 'less',
} as const;
const cpu = {
  id: 'token.cpu',
  title: 'the same, CPU of the proxy',
  unit: 'µs/request',
  better: 'less',
} as const;

export const tokens: RowGroup = {
  name: 'tokens',
  rows: ['token'],
  async run(context) {
    const folder = path.join(context.folder, 'tokens');
    await mkdir(folder, { recursive: true });
    const provider = await startProvider();
    try {
      await withProvider(context, folder, provider);
    } finally {
      provider.stop();
    }
  },
};

async function withProvider(context: Context, folder: string, { issuer, token }: Provider): Promise<void> {
  const variables = { TERMINALS_OIDC_ISSUER: issuer, TERMINALS_OIDC_AUDIENCE: audience };
  const terminals = await startTerminals({ folder, port: await freePort(), variables });
  try {
    const entrance = (headers: Readonly<Record<string, string>>): Entrance => ({
      way: 'terminals',
      url: terminals.url,
      headers,
      token: sharedKey,
      pid: terminals.pid,
    });
    const byKey = entrance(callerHeaders(user));
    const byToken = entrance({ authorization: `Bearer ${token}` });
    for (const { url, headers } of [byKey, byToken]) await ask(`${url}/small`, headers);
    await measure(context, byKey, byToken);
  } finally {
    await terminals.stop();
  }
}

async function measure(
  { measurements, ...context }: Context,
  byKey: Entrance,
  byToken: Entrance,
): Promise<void> {
  for (const one of [byKey, byToken]) await wrk(load, one, 1);
  const rounds = context.quick ? 1 : 9;
  for (let round = 0; round < rounds; round += 1) {
    for (const [contender, one] of [
      ['shared key', byKey],
      ['terminals', byToken],
    ] as const) {
      const found = await wrk(load, one, 1);
      measurements.add(p50, contender, found.p50);
      if (found.cpu !== null) measurements.add(cpu, contender, found.cpu);
    }
  }
}

interface Provider {
  readonly issuer: string;
  readonly token: string;
  stop(): void;
}

/** An identity provider as far as a verifier sees one: its keys, and a token of a user in a few groups. */
async function startProvider(): Promise<Provider> {
  const { publicKey, privateKey } = await generateKeyPair('RS256');
  const keys = [{ ...(await exportJWK(publicKey)), kid: 'bench', alg: 'RS256', use: 'sig' }];
  let issuer = '';
  const server = http.createServer((request, response) => {
    const discovery = { issuer, jwks_uri: `${issuer}/keys` };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(request.url === '/keys' ? { keys } : discovery));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  issuer = `http://127.0.0.1:${address.port}`;
  const groups = Array.from({ length: 20 }, (_, index) => `group-${index}`);
  const token = await new SignJWT({ groups })
    .setProtectedHeader({ alg: 'RS256', kid: 'bench', typ: 'at+jwt' })
    .setIssuer(issuer)
    .setAudience(audience)
    .setSubject(user)
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(privateKey);
  return { issuer, token, stop: () => void server.close() };
}
