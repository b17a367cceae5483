import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { METHODS } from 'node:http';
import { test } from 'node:test';
import { until } from '../reconcile/harness.ts';
import {
  answerOf,
  asAlice,
  head,
  nextChunk,
  open,
  RawClient,
  send,
  settled,
  stack,
  textOf,
} from './stack.ts';

test('every method reaches the terminal', async (t) => {
  const proxy = await stack(t);
  // CONNECT asks for a tunnel and has no path.
  for (const method of METHODS.filter((name) => name !== 'CONNECT')) {
    const { status, body } = await send(proxy, '/x', { method });
    assert.equal(status, 200, `${method}: ${body}`);
    assert.equal(proxy.upstream.requests.at(-1)?.method, method);
  }
});

test('a first chunk of the answer arrives before the terminal has sent the last', async (t) => {
  const proxy = await stack(t);
  let finish = () => {};
  proxy.upstream.handle = (_request, response) => {
    response.write('first');
    finish = () => response.end('last');
  };
  const request = open(proxy, '/x', { method: 'GET' });
  request.end();
  const response = await answerOf(request);
  assert.equal(await nextChunk(response), 'first');
  finish();
  assert.equal(await textOf(response), 'last');
});

test('headers of an answer arrive before any of its body', async (t) => {
  const proxy = await stack(t);
  let finish = () => {};
  proxy.upstream.handle = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
    finish = () => response.end('data: 1\n\n');
  };
  const request = open(proxy, '/events', { method: 'GET' });
  request.end();
  const response = await answerOf(request);
  assert.equal(response.headers['content-type'], 'text/event-stream');
  finish();
  assert.equal(await textOf(response), 'data: 1\n\n');
});

for (const [method, status] of [
  ['POST', 200],
  ['GET', 307],
  ['HEAD', 200],
] as const) {
  test(`an answer ${status} of length 0 to ${method} arrives, and the connection serves on`, async (t) => {
    const proxy = await stack(t);
    proxy.upstream.handle = (_request, response) =>
      response.writeHead(status, { 'content-length': '0', location: '/y' }).end();
    const client = await RawClient.connect(t, proxy);
    for (const which of ['first', 'second']) {
      client.received = '';
      client.write(head(`${method} /${which} HTTP/1.1`));
      await client.until(new RegExp(`^HTTP/1\\.1 ${status} [^]*\\r\\n\\r\\n$`));
      assert.match(client.received, /\r\ncontent-length: 0\r\n/);
    }
  });
}

test('an upload reaches the terminal as it is sent, and the echo comes back meanwhile', async (t) => {
  const proxy = await stack(t);
  proxy.upstream.handle = (request, response) => request.pipe(response);
  const request = open(proxy, '/echo');
  request.write('one');
  const response = await answerOf(request);
  assert.equal(await nextChunk(response), 'one');
  for (const text of ['two', 'three']) {
    request.write(text);
    assert.equal(await nextChunk(response), text);
  }
  request.end('four');
  assert.equal(await textOf(response), 'four');
  assert.equal(proxy.upstream.requests.length, 1);
});

test('64 MiB up and down at once arrive whole', async (t) => {
  const proxy = await stack(t);
  proxy.upstream.handle = (request, response) => request.pipe(response);
  const chunk = randomBytes(1024 * 1024);
  const rounds = 64;
  const request = open(proxy, '/echo');
  const sending = (async () => {
    for (let round = 0; round < rounds; round += 1) {
      if (!request.write(chunk)) await once(request, 'drain');
    }
    request.end();
  })();
  const response = await answerOf(request);
  const received = createHash('sha256');
  for await (const piece of response) received.update(piece);
  await sending;
  const sent = createHash('sha256');
  for (let round = 0; round < rounds; round += 1) sent.update(chunk);
  assert.equal(received.digest('hex'), sent.digest('hex'));
});

test('a client that does not read holds the terminal back', async (t) => {
  const proxy = await stack(t);
  let sent = 0;
  proxy.upstream.handle = (_request, response) => {
    const chunk = Buffer.alloc(64 * 1024);
    const more = () => {
      while (sent < 256 * 1024 * 1024) {
        sent += chunk.length;
        if (!response.write(chunk)) return void response.once('drain', more);
      }
    };
    more();
  };
  const client = await RawClient.connect(t, proxy);
  client.socket.pause();
  client.write(head('GET /x HTTP/1.1'));
  await until(() => sent > 0, 'it began');
  await settled(() => sent);
  assert.ok(sent < 64 * 1024 * 1024, `${sent} bytes were taken from the terminal`);
});

test('a body that came in several pieces while its terminal started goes on whole', async (t) => {
  const proxy = await stack(t);
  proxy.upstream.handle = (request, response) => request.pipe(response);
  const started = Promise.withResolvers<void>();
  proxy.backend.inject('create', { before: () => started.promise });
  const body = randomBytes(90_000);
  const client = open(proxy, '/echo', { headers: { ...asAlice, 'content-length': body.length } });
  client.end(body);
  await once(client, 'finish');
  await until(() => proxy.backend.count('create') === 1, 'the start began');
  // All of it is here by then.
  await new Promise((resolve) => setTimeout(resolve, 50));
  started.resolve();
  const response = await answerOf(client);
  assert.equal(response.statusCode, 200);
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk);
  assert.ok(Buffer.concat(chunks).equals(body));
});

test('a body keeps its framing: a length stays a length, and a body without one stays without', async (t) => {
  const proxy = await stack(t);
  await send(proxy, '/x', { method: 'POST', body: 'hello' });
  const chunked = open(proxy, '/x', { headers: { ...asAlice, 'transfer-encoding': 'chunked' } });
  chunked.write('hel');
  await until(() => proxy.upstream.requests.length === 2, 'the terminal has the beginning');
  chunked.end('lo');
  (await answerOf(chunked)).resume();
  await send(proxy, '/x', { method: 'POST', headers: { ...asAlice, 'content-length': 0 } });
  await send(proxy, '/x');
  const framing = proxy.upstream.requests.map(({ headers }) => [
    headers['content-length'],
    headers['transfer-encoding'],
  ]);
  assert.deepEqual(framing, [
    ['5', undefined],
    [undefined, 'chunked'],
    ['0', undefined],
    [undefined, undefined],
  ]);
});

test('HEAD, 204 and 304 have no body, and the connection serves the next request', async (t) => {
  const proxy = await stack(t);
  proxy.upstream.handle = (request, response) => {
    if (request.url === '/head') response.writeHead(200, { 'content-length': 1234 }).end();
    else if (request.url === '/last') response.end('last');
    else response.writeHead(Number(request.url?.slice(1)), { etag: '"x"' }).end();
  };
  const client = await RawClient.connect(t, proxy);
  client.write(head('HEAD /head HTTP/1.1'));
  await client.until(/200 OK[\s\S]*\r\n\r\n$/);
  assert.match(client.received, /content-length: 1234/i);
  for (const status of [204, 304]) {
    client.received = '';
    client.write(head(`GET /${status} HTTP/1.1`));
    await client.until(new RegExp(`^HTTP/1\\.1 ${status} [\\s\\S]*etag: "x"[\\s\\S]*\r\n\r\n$`, 'i'));
    assert.doesNotMatch(client.received, /transfer-encoding/i);
  }
  client.received = '';
  client.write(head('GET /last HTTP/1.1', 'Connection: close'));
  await client.untilEnd();
  assert.match(client.received, /^HTTP\/1\.1 200 [\s\S]*last/);
});

test('trailers of either side are ignored, and the bodies arrive', async (t) => {
  const proxy = await stack(t);
  proxy.upstream.handle = async (request, response) => {
    const body = await textOf(request);
    response.writeHead(200, { trailer: 'X-Sum' });
    response.write(`got ${body} ${JSON.stringify(request.trailers)}`);
    response.addTrailers({ 'X-Sum': '1' });
    response.end();
  };
  const client = await RawClient.connect(t, proxy);
  client.write(head('POST /x HTTP/1.1', 'Transfer-Encoding: chunked', 'Trailer: X-Up', 'Connection: close'));
  client.write('2\r\nhi\r\n0\r\nX-Up: 1\r\n\r\n');
  await client.untilEnd();
  assert.match(client.received, /got hi \{\}/);
  assert.doesNotMatch(client.received, /x-sum/i);
});

test('informational answers of the terminal do not stand for its answer', async (t) => {
  const proxy = await stack(t);
  proxy.upstream.handle = (_request, response) => {
    response.writeProcessing();
    response.writeEarlyHints({ link: '</style.css>; rel=preload' });
    response.end('the answer');
  };
  const { status, body } = await send(proxy, '/x');
  assert.equal(status, 200);
  assert.equal(body, 'the answer');
});

test('an answer that comes before the upload is through arrives, and the connection is not used again', async (t) => {
  const proxy = await stack(t);
  proxy.upstream.handle = (_request, response) =>
    response.writeHead(413, { connection: 'close' }).end('too much');
  const client = await RawClient.connect(t, proxy);
  client.write(head('POST /x HTTP/1.1', 'Content-Length: 1000000'));
  client.write('x'.repeat(1000));
  await client.until(/^HTTP\/1\.1 413 [\s\S]*too much/);
  assert.match(client.received, /connection: close/i);
});

test('while the server drains, what is under way ends in order, and what comes behind it is served or told so', async (t) => {
  const proxy = await stack(t);
  let finish = () => {};
  proxy.upstream.handle = (request, response) => {
    if (request.url === '/2') response.end('second');
    else finish = () => response.end('first');
  };
  const client = await RawClient.connect(t, proxy);
  client.write(head('GET /1 HTTP/1.1'));
  await until(() => proxy.upstream.requests.length === 1, 'the terminal has it');
  const drained = proxy.drain();
  client.write(head('GET /2 HTTP/1.1'));
  finish();
  await client.untilEnd();
  await drained;
  assert.match(client.received, /^HTTP\/1\.1 200 [\s\S]*first/);
  const second = client.received.slice(client.received.indexOf('first') + 5);
  assert.match(
    second,
    /^(HTTP\/1\.1 200 [\s\S]*second|HTTP\/1\.1 503 [\s\S]*application\/problem\+json[\s\S]*)?$/,
  );
});
