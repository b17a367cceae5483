import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { until } from '../reconcile/harness.ts';
import { head, RawClient, send, stack } from './stack.ts';

const said: readonly (readonly [what: string, text: string])[] = [
  ['nothing', ''],
  ['half of a head', 'GET /x HTTP/1.1\r\nHos'],
];
for (const [what, text] of said) {
  test(`a connection on which ${what} comes is ended as a problem`, async (t) => {
    const proxy = await stack(t, { limits: { headersMs: 50 } });
    const client = await RawClient.connect(t, proxy);
    client.write(text);
    await client.untilEnd();
    assert.match(client.received, /^HTTP\/1\.1 408 Request Timeout\r\n/);
    assert.match(client.received, /application\/problem\+json/);
  });
}

test('an upload that stops in the middle is ended, and its terminal is used no more', async (t) => {
  const proxy = await stack(t, { limits: { silentUploadMs: 50 } });
  proxy.upstream.handle = (request) => void request.resume();
  const client = await RawClient.connect(t, proxy);
  client.write(`${head('POST /x HTTP/1.1', 'Content-Length: 9')}half`);
  await client.untilEnd();
  assert.equal((await proxy.line()).status, 499);
  assert.deepEqual(
    [...proxy.reconciler.entries].map(({ inFlight }) => inFlight),
    [0],
  );
});

test('an upload that goes on slowly, and answers that are silent for long, are not', async (t) => {
  const proxy = await stack(t, { limits: { silentUploadMs: 1_000 } });
  proxy.upstream.handle = (request, response) => {
    request.resume().on('end', () => setTimeout(() => response.end(`late ${request.url}`), 1_500));
  };
  const client = await RawClient.connect(t, proxy);
  client.write(head('POST /x HTTP/1.1', 'Content-Length: 8'));
  for (const letter of 'abcdefgh') {
    client.write(letter);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  await client.until(/late \/x$/);
  client.write(head('GET /next HTTP/1.1'));
  await client.until(/late \/next$/);
});

test('nor is the answer to what came right behind an upload, on the same connection', async (t) => {
  const proxy = await stack(t, { limits: { silentUploadMs: 100 } });
  proxy.upstream.handle = (request, response) => {
    const answer = () => response.end(`answer to ${request.url}`);
    request.resume().on('end', () => setTimeout(answer, request.url === '/slow' ? 500 : 0));
  };
  const client = await RawClient.connect(t, proxy);
  client.write(`${head('POST /x HTTP/1.1', 'Content-Length: 4')}body${head('GET /slow HTTP/1.1')}`);
  await client.until(/answer to \/slow$/);
});

test('an upload that waits for its terminal is not taken for one that stopped', async (t) => {
  const proxy = await stack(t, { limits: { silentUploadMs: 50 } });
  const started = Promise.withResolvers<void>();
  proxy.backend.inject('create', { before: () => started.promise });
  const answer = send(proxy, '/x', { method: 'POST', body: Buffer.alloc(1024 * 1024) });
  await until(() => proxy.backend.count('create') === 1, 'the start began');
  await new Promise((resolve) => setTimeout(resolve, 300));
  started.resolve();
  assert.equal((await answer).status, 200);
});

test('whether its caller is still there is asked of every connection', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const proxy = await stack(t);
  const client = await RawClient.connect(t, proxy);
  client.write(head('GET /x HTTP/1.1'));
  await client.until(/200/);
  const port = (number: number) => `:${number.toString(16).toUpperCase().padStart(4, '0')}`;
  const { localPort = 0 } = client.socket;
  const sockets = (await readFile('/proc/net/tcp', 'utf8')).split('\n').map((row) => row.trim().split(/\s+/));
  const ours = sockets.find(
    ([, from, to]) => from?.endsWith(port(proxy.port)) && to?.endsWith(port(localPort)),
  );
  // The kernel's timer of a connection: 02 is the one that asks.
  assert.match(ours?.[5] ?? '', /^02:/);
});
