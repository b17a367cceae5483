import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import { responseHeaders } from '../../src/proxy/headers.ts';
import { answerOf, asAlice, head, open, RawClient, send, sharedKey, stack } from './stack.ts';

const terminalKey = 'Bearer key-of-terminals-default-alice';

test("the terminal gets its own key; the caller's key, cookies and token stay here", async (t) => {
  const proxy = await stack(t);
  const secrets = { cookie: 'token=secret-cookie', 'x-openwebui-user-jwt': 'secret-jwt' };
  await send(proxy, '/x', { headers: { ...asAlice, ...secrets } });
  const { headers, rawHeaders } = proxy.upstream.requests[0] ?? assert.fail();
  assert.equal(headers.authorization, terminalKey);
  assert.doesNotMatch(JSON.stringify(rawHeaders), new RegExp(`${sharedKey}|secret`));
  assert.equal(headers['x-user-id'], 'alice');
});

test('hop-by-hop headers, and those that Connection names, do not reach the terminal', async (t) => {
  const proxy = await stack(t);
  const client = await RawClient.connect(t, proxy);
  client.write(
    head(
      'GET /x HTTP/1.1',
      'Connection: close, X-Mine , x-OTHER',
      'Connection: x-third',
      'X-Mine: 1',
      'X-Other: 1',
      'x-third: 1',
      'Keep-Alive: timeout=5',
      'Proxy-Authorization: Basic c2VjcmV0',
      'Proxy-Authenticate: x',
      'Proxy-Connection: keep-alive',
      'TE: trailers',
      'Trailer: X-Checksum',
      'X-Kept: yes',
    ),
  );
  await client.untilEnd();
  const { headers } = proxy.upstream.requests[0] ?? assert.fail();
  const gone = ['x-mine', 'x-other', 'x-third', 'keep-alive', 'te', 'trailer', 'upgrade'];
  const proxys = ['proxy-authorization', 'proxy-authenticate', 'proxy-connection'];
  for (const name of [...gone, ...proxys]) assert.equal(headers[name], undefined, name);
  assert.equal(headers['x-kept'], 'yes');
  assert.doesNotMatch(headers.connection ?? '', /mine|other|third/i);
});

test("a caller can't have the terminal's key or the forwarding headers dropped by naming them in Connection", async (t) => {
  const proxy = await stack(t);
  const client = await RawClient.connect(t, proxy);
  const named = 'Connection: close, authorization, x-forwarded-for, content-length, host';
  client.write(`${head('POST /x HTTP/1.1', named, 'Content-Length: 2')}hi`);
  await client.untilEnd();
  const { headers } = proxy.upstream.requests[0] ?? assert.fail();
  assert.equal(headers.authorization, terminalKey);
  assert.equal(headers['x-forwarded-for'], '127.0.0.1');
  assert.equal(headers['content-length'], '2');
  assert.equal(headers.host, `127.0.0.1:${proxy.upstream.port}`);
});

test('X-Forwarded-* say where the request came from, continued from what came', async (t) => {
  const proxy = await stack(t);
  await send(proxy, '/x', { headers: { ...asAlice, host: 'terminals.example' } });
  await send(proxy, '/x', {
    headers: {
      ...asAlice,
      'x-forwarded-for': '10.0.0.1, 10.0.0.2',
      'x-forwarded-host': 'chat.example',
      'x-forwarded-proto': 'https',
    },
  });
  const forwarded = proxy.upstream.requests.map(({ headers }) => [
    headers['x-forwarded-for'],
    headers['x-forwarded-host'],
    headers['x-forwarded-proto'],
  ]);
  assert.deepEqual(forwarded, [
    ['127.0.0.1', 'terminals.example', 'http'],
    ['10.0.0.1, 10.0.0.2, 127.0.0.1', 'chat.example', 'https'],
  ]);
});

test('other request headers arrive as they were written: names, order, repetition, bytes', async (t) => {
  const proxy = await stack(t);
  const client = await RawClient.connect(t, proxy);
  const own = ['X-Twice: 1', 'x-TWICE: 2', 'X-Bytes: caf\xe9', 'X-Empty: ', 'X-Session-Id: s'];
  client.write(head('GET /x HTTP/1.1', ...own, 'Connection: close'));
  await client.untilEnd();
  const { rawHeaders } = proxy.upstream.requests[0] ?? assert.fail();
  const pairs = rawHeaders.flatMap((name, index) =>
    index % 2 === 0 ? [`${name}: ${rawHeaders[index + 1]}`] : [],
  );
  assert.deepEqual(
    pairs.filter((pair) => /^x-(twice|bytes|empty|session)/i.test(pair)),
    own,
  );
});

test("the terminal's answer arrives without its hop-by-hop headers, with all others as they are", async (t) => {
  const proxy = await stack(t);
  proxy.upstream.handle = (_request, response) => {
    response.writeHead(418, [
      ...['Content-Type', 'text/x', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2', 'X-Cased', 'Yes'],
      ...['Connection', 'X-Mine', 'X-Mine', '1', 'Keep-Alive', 'timeout=99', 'Proxy-Authenticate', 'x'],
      ...['Upgrade', 'h2c', 'X-Bytes', 'caf\xe9'],
    ]);
    response.end('short and stout');
  };
  const { status, rawHeaders, headers, body } = await send(proxy, '/x');
  assert.equal(status, 418);
  assert.equal(body, 'short and stout');
  assert.deepEqual(headers['set-cookie'], ['a=1', 'b=2']);
  assert.ok(rawHeaders.includes('X-Cased'));
  assert.equal(headers['x-bytes'], 'caf\xe9');
  for (const name of ['x-mine', 'proxy-authenticate', 'upgrade'])
    assert.equal(headers[name], undefined, name);
  assert.notEqual(headers['keep-alive'], 'timeout=99');
});

test('response headers: what Connection names is dropped wherever it stands', () => {
  const raw = ['X-A', '1', 'Connection', 'x-a, X-B', 'x-b', '2', 'X-C', '3', 'Transfer-Encoding', 'chunked'];
  assert.deepEqual(responseHeaders(raw.map((text) => Buffer.from(text))), ['X-C', '3']);
  assert.deepEqual(responseHeaders([]), []);
});

test('large headers pass both ways', async (t) => {
  const proxy = await stack(t);
  const large = 'x'.repeat(12_000);
  proxy.upstream.handle = (request, response) => {
    response.writeHead(200, { 'x-echo': request.headers['x-large'] ?? '' }).end();
  };
  const { headers } = await send(proxy, '/x', { headers: { ...asAlice, 'x-large': large } });
  assert.equal(headers['x-echo'], large);
});

test('headers beyond what the server takes are refused as a problem, and never reach the terminal', async (t) => {
  const proxy = await stack(t);
  const client = await RawClient.connect(t, proxy);
  client.write(head('GET /x HTTP/1.1', `X-Large: ${'x'.repeat(http.maxHeaderSize)}`));
  await client.untilEnd();
  assert.match(client.received, /^HTTP\/1\.1 431 [\s\S]*application\/problem\+json/);
  assert.equal(proxy.upstream.requests.length, 0);
});

test('Expect: 100-continue is answered here, and the body then reaches the terminal', async (t) => {
  const proxy = await stack(t);
  const request = open(proxy, '/x', { headers: { ...asAlice, expect: '100-continue', 'content-length': 5 } });
  request.flushHeaders();
  await new Promise((resolve) => request.once('continue', resolve));
  request.end('hello');
  const response = await answerOf(request);
  assert.equal(response.statusCode, 200);
  response.resume();
  const { headers } = proxy.upstream.requests[0] ?? assert.fail();
  assert.equal(headers.expect, undefined);
  assert.equal(headers['content-length'], '5');
});
