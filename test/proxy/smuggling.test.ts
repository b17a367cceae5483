import assert from 'node:assert/strict';
import { test } from 'node:test';
import { turns, until } from '../reconcile/harness.ts';
import { asAlice, head, RawClient, send, sharedKey, stack } from './stack.ts';

const second = `GET /second HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${sharedKey}\r\nX-User-Id: bob\r\n\r\n`;

/** What a careful server must not take, since another one on the way might read it another way. */
const malformed: readonly (readonly [what: string, request: string])[] = [
  [
    'a length and chunks at once',
    `${head('POST /x HTTP/1.1', 'Content-Length: 4', 'Transfer-Encoding: chunked')}0\r\n\r\n${second}`,
  ],
  ['two lengths', `${head('POST /x HTTP/1.1', 'Content-Length: 0', 'Content-Length: 9')}${second}`],
  ['a list of lengths', `${head('POST /x HTTP/1.1', 'Content-Length: 0, 9')}${second}`],
  ['a length with a sign', `${head('POST /x HTTP/1.1', 'Content-Length: +4')}abcd`],
  ['a length in hex', `${head('POST /x HTTP/1.1', 'Content-Length: 0x4')}abcd`],
  ['a negative length', head('POST /x HTTP/1.1', 'Content-Length: -1')],
  ['chunks that are not the last coding', head('POST /x HTTP/1.1', 'Transfer-Encoding: chunked, identity')],
  ['an unknown coding', head('POST /x HTTP/1.1', 'Transfer-Encoding: xchunked')],
  ['a space before the colon', head('POST /x HTTP/1.1', 'Transfer-Encoding : chunked')],
  ['a folded header', head('GET /x HTTP/1.1', 'X-Folded: a\r\n b')],
  ['a header name that is none', head('GET /x HTTP/1.1', 'X(Bad): 1')],
  ['a NUL in a header', head('GET /x HTTP/1.1', 'X-Bad: a\x00b')],
  ['a bare CR in a header', head('GET /x HTTP/1.1', 'X-Bad: a\rX-User-Id: bob')],
  ['a bare LF between headers', head('GET /x HTTP/1.1', 'X-Bad: a\nX-Other: b')],
  ['a chunk size that is none', `${head('POST /x HTTP/1.1', 'Transfer-Encoding: chunked')}zz\r\n`],
  ['a space in the target', head('GET /x y HTTP/1.1')],
  ['another protocol', head('GET /x HTTP/9.9')],
  ['no HTTP at all', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n'],
];
for (const [what, request] of malformed) {
  test(`${what}: refused, the connection ends, and nothing behind it is served`, async (t) => {
    const proxy = await stack(t);
    const client = await RawClient.connect(t, proxy);
    client.write(request);
    await client.untilEnd();
    assert.match(client.received, /^HTTP\/1\.1 [45]\d\d /);
    assert.equal(client.received.match(/HTTP\/1\.1 /g)?.length, 1, client.received);
    assert.doesNotMatch(client.received, /HTTP\/1\.1 2/);
    await turns();
    const whole = proxy.upstream.requests.filter(({ complete }) => complete);
    assert.equal(whole.length, 0, 'the terminal saw no whole request');
    assert.ok(proxy.upstream.requests.every(({ url }) => url === '/x'));
  });
}

test('what is malformed behind a request gets no answer into the one that is under way', async (t) => {
  const proxy = await stack(t);
  let begin = false;
  proxy.upstream.handle = (_request, response) => {
    if (begin) response.write('half');
  };
  for (const answer of ['not begun', 'half through']) {
    begin = answer === 'half through';
    const client = await RawClient.connect(t, proxy);
    const before = proxy.upstream.requests.length;
    client.write(head('GET /x HTTP/1.1'));
    await until(() => proxy.upstream.requests.length > before, 'the terminal has it');
    if (begin) await client.until(/half/);
    client.write('no HTTP\r\n\r\n');
    await client.untilEnd();
    assert.match(client.received, begin ? /^HTTP\/1\.1 200 .*half\r\n$/s : /^$/, answer);
  }
});

test('what is malformed behind an answer that is through is refused', async (t) => {
  const proxy = await stack(t);
  const client = await RawClient.connect(t, proxy);
  client.write(head('GET /x HTTP/1.1'));
  await client.until(/ok/);
  client.received = '';
  client.write('no HTTP\r\n\r\n');
  await client.untilEnd();
  assert.match(client.received, /^HTTP\/1\.1 400 /);
});

test('what is refused by the parser is a problem, too', async (t) => {
  const proxy = await stack(t);
  const client = await RawClient.connect(t, proxy);
  client.write(head('POST /x HTTP/1.1', 'Content-Length: 4', 'Transfer-Encoding: chunked'));
  await client.untilEnd();
  const [headers = '', body = ''] = client.received.split('\r\n\r\n');
  assert.match(headers, /^HTTP\/1\.1 400 Bad Request/);
  assert.match(headers, /application\/problem\+json/);
  assert.equal(JSON.parse(body).type, 'urn:terminals:problem:bad-request');
});

test('a body that only looks like a request stays a body', async (t) => {
  const proxy = await stack(t);
  proxy.upstream.handle = (request, response) => request.pipe(response);
  const { body } = await send(proxy, '/x', { method: 'POST', body: second });
  assert.equal(body, second);
  assert.equal(proxy.upstream.requests.length, 1);
});

test('a header that asks for another protocol is answered as plain HTTP', async (t) => {
  const proxy = await stack(t);
  const { status } = await send(proxy, '/x', {
    headers: { ...asAlice, 'http2-settings': 'AAMAAABkAAQAAP__' },
  });
  assert.equal(status, 200);
  assert.equal(proxy.upstream.requests[0]?.headers['http2-settings'], undefined);
});
