import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { asAlice, RawClient, send, sharedKey, stack } from '../stack.ts';
import { authenticate, dial, sessionPath, speaks } from './clients.ts';

const key = 'dGhlIHNhbXBsZSBub25jZQ==';

function upgrade(changes: Record<string, string | null> = {}, method = 'GET', version = '1.1'): string {
  const headers: Record<string, string | null> = {
    Host: 'terminals',
    'X-User-Id': 'alice',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Key': key,
    ...changes,
  };
  const lines = Object.entries(headers).flatMap(([name, value]) =>
    value === null ? [] : [`${name}: ${value}`],
  );
  return [`${method} ${sessionPath} HTTP/${version}`, ...lines, '', ''].join('\r\n');
}

test('the handshake is answered as RFC 6455 says, without any extension or subprotocol', async (t) => {
  const proxy = await stack(t);
  const client = await RawClient.connect(t, proxy);
  client.write(
    upgrade({
      'Sec-WebSocket-Extensions': 'permessage-deflate',
      Upgrade: 'WebSocket',
      Connection: 'keep-alive, Upgrade',
    }),
  );
  await client.until(/\r\n\r\n/);
  assert.match(client.received, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
  assert.match(client.received, /Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/);
  assert.doesNotMatch(client.received, /extensions|sec-websocket-protocol/i);
});

const refused: readonly (readonly [what: string, request: string, status: number])[] = [
  ['another version', upgrade({ 'Sec-WebSocket-Version': '8' }), 426],
  ['no version', upgrade({ 'Sec-WebSocket-Version': null }), 426],
  ['no key', upgrade({ 'Sec-WebSocket-Key': null }), 400],
  ['a key that is too short', upgrade({ 'Sec-WebSocket-Key': 'c2hvcnQ=' }), 400],
  ['a key that is too long', upgrade({ 'Sec-WebSocket-Key': `${key}${key}` }), 400],
  ['another method', upgrade({ 'Content-Length': '0' }, 'POST'), 400],
  ['another protocol', upgrade({ Upgrade: 'h2c' }), 400],
];
for (const [what, request, status] of refused) {
  test(`a handshake with ${what} is refused with ${status} as a problem, and the connection ends`, async (t) => {
    const proxy = await stack(t);
    const client = await RawClient.connect(t, proxy);
    client.write(request);
    await client.untilEnd();
    assert.match(client.received, new RegExp(`^HTTP/1\\.1 ${status} `));
    const [headers = '', body = ''] = client.received.split('\r\n\r\n');
    assert.match(headers, /application\/problem\+json/);
    assert.equal(JSON.parse(body).status, status);
    if (status === 426) assert.match(headers, /Sec-WebSocket-Version: 13/);
    assert.equal(proxy.sockets.open, 0);
  });
}

test('a session asked for in plain HTTP is a request like any other', async (t) => {
  const proxy = await stack(t);
  assert.equal((await send(proxy, sessionPath)).status, 200);
  assert.equal(proxy.upstream.requests[0]?.url, sessionPath);
});

test("the terminal gets path and query as they came, a key of its own, and none of the client's secrets", async (t) => {
  const proxy = await stack(t);
  const server = speaks(t, proxy);
  const path = '/p/default/api/terminals/s%2D1?user_id=alice&x=%zz';
  const client = await dial(t, proxy, path, {
    ...asAlice,
    'x-session-id': 'session',
    'x-forwarded-for': '10.0.0.1',
    'x-secret': 'x',
    cookie: 'token=hidden',
  });
  await server.peer();
  const [request] = server.requests;
  assert.ok(request);
  assert.equal(request.url, '/api/terminals/s%2D1?user_id=alice&x=%zz');
  assert.equal(request.headers['x-session-id'], 'session');
  assert.equal(request.headers['x-user-id'], 'alice');
  assert.equal(request.headers['x-forwarded-for'], '10.0.0.1, 127.0.0.1');
  assert.notEqual(request.headers['sec-websocket-key'], key);
  assert.equal(request.headers['sec-websocket-extensions'], undefined);
  assert.doesNotMatch(JSON.stringify(request.rawHeaders), new RegExp(`${sharedKey}|hidden|x-secret`));
  client.socket.terminate();
});

const answers: readonly (readonly [what: string, answer: string, code: number])[] = [
  ['403, as Open Terminal answers for a session it does not know', 'HTTP/1.1 403 Forbidden\r\n\r\n', 4004],
  ['404', 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n', 4004],
  ['500', 'HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n', 4003],
  ['200', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', 4003],
  [
    'a handshake with a wrong accept',
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n',
    4003,
  ],
  ['no HTTP', 'hello\r\n\r\n', 4003],
  ['nothing', '', 4003],
];
for (const [what, answer, code] of answers) {
  test(`a terminal that answers ${what}: the client is closed with ${code}`, async (t) => {
    const proxy = await stack(t);
    proxy.upstream.upgrade = (_request, socket) => socket.end(answer);
    const client = await dial(t, proxy);
    authenticate(client);
    assert.equal((await client.closed())[0], code);
    assert.equal(proxy.sockets.open, 0);
  });
}

test('what the terminal says right behind its handshake is not lost', async (t) => {
  const proxy = await stack(t);
  proxy.upstream.upgrade = (request, socket) => {
    const accept = createHash('sha1')
      .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64');
    const answer = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`;
    socket.write(Buffer.concat([Buffer.from(answer), Buffer.from([0x81, 2]), Buffer.from('hi')]));
  };
  const client = await dial(t, proxy);
  authenticate(client);
  assert.deepEqual(await client.messages(1), ['hi']);
});
