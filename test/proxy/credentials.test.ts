import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { ForbiddenError } from '../../src/errors.ts';
import type { Credentials } from '../../src/identity/identity.ts';
import { credentialsOf } from '../../src/proxy/credentials.ts';

/** What a real request with these headers brings. */
async function read(
  headers: http.OutgoingHttpHeaders,
  token: string | null = null,
): Promise<Credentials | Error> {
  let seen: Credentials | Error | undefined;
  const take = (request: http.IncomingMessage) => {
    try {
      seen = credentialsOf(request, token);
    } catch (error) {
      seen = error instanceof Error ? error : new Error(String(error));
    }
  };
  const server = http.createServer((request, response) => {
    take(request);
    response.end();
  });
  server.on('upgrade', (request, socket) => {
    take(request);
    socket.destroy();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const request = http.get({ port, host: '127.0.0.1', headers, agent: false });
  // The server hangs up on an upgrade, which is not what is looked at here.
  request.on('error', () => undefined);
  request.on('response', (response) => response.resume());
  await new Promise((resolve) => request.on('close', resolve));
  server.close();
  assert.ok(seen);
  return seen;
}

const upgrade = { connection: 'Upgrade', upgrade: 'websocket' };
const cookie = 'theme=dark; token=abc.def; other=1';

test('the headers that say who calls', async () => {
  const seen = await read({ authorization: 'Bearer x', 'x-user-id': 'alice', 'x-openwebui-user-jwt': 'j' });
  assert.deepEqual(seen, {
    authorization: 'Bearer x',
    token: null,
    userId: 'alice',
    forwardedJwt: 'j',
    cookieToken: undefined,
  });
});

const counted: readonly (readonly [what: string, headers: http.OutgoingHttpHeaders])[] = [
  ['without an origin, as no page sends it', { cookie }],
  ['from a page of this host', { cookie, host: 'chat.example.org', origin: 'https://chat.example.org' }],
  ['from a page on another port', { cookie, host: 'localhost:3001', origin: 'http://localhost:3000' }],
  [
    'behind a proxy that says the host',
    { cookie, 'x-forwarded-host': 'a.example', origin: 'https://a.example' },
  ],
  ['of a WebSocket from here', { cookie, ...upgrade, host: 'a.example', origin: 'https://a.example' }],
];
for (const [what, headers] of counted) {
  test(`a cookie ${what} counts`, async () => {
    const seen = await read(headers);
    assert.ok(!(seen instanceof Error), String(seen));
    assert.equal(seen.cookieToken, 'abc.def');
  });
}

const foreign: readonly (readonly [what: string, headers: http.OutgoingHttpHeaders])[] = [
  ['from a page of another host', { cookie, host: 'chat.example.org', origin: 'https://evil.example' }],
  ['from a page below this host', { cookie, host: 'example.org', origin: 'https://evil.example.org' }],
  ['from a page without origin', { cookie, host: 'a.example', origin: 'null' }],
  ['of a WebSocket that names none', { cookie, ...upgrade, host: 'a.example' }],
  ['of a WebSocket from elsewhere', { cookie, ...upgrade, host: 'a.example', origin: 'https://b.example' }],
];
for (const [what, headers] of foreign) {
  test(`a cookie ${what} is refused`, async () => {
    assert.ok((await read(headers)) instanceof ForbiddenError);
  });
}

test('a cookie beside another token is not looked at', async () => {
  const headers = { cookie, host: 'a.example', origin: 'https://evil.example' };
  for (const seen of [await read({ ...headers, authorization: 'Bearer x' }), await read(headers, 'frame')]) {
    assert.ok(!(seen instanceof Error), String(seen));
    assert.equal(seen.cookieToken, undefined);
  }
});
