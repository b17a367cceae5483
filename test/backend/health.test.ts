/** Which of the addresses of a terminal is taken when it begins to answer. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { type TestContext, test } from 'node:test';
import { waitHealthy } from '../../src/backend/health.ts';
import { StartTimeoutError } from '../../src/errors.ts';
import { patient } from '../reconcile/harness.ts';

/** A server that is not up yet, and the address where it will be. */
async function later(t: TestContext, handle: http.RequestListener) {
  const server = http.createServer(handle);
  const up = async (port = 0) => {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  };
  await up();
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  t.after(() => server.close());
  return { address: { host: '127.0.0.1', port }, up: () => up(port) };
}

const ok: http.RequestListener = (_request, response) => response.end();

test('the best address is taken, also where it came up between being asked and the answer of another', async (t) => {
  const best = await later(t, ok);
  const other = await later(t, async (_request, response) => {
    await best.up();
    response.end();
  });
  await other.up();
  const candidates = [best.address, other.address];
  assert.deepEqual(await waitHealthy({ candidates, timeoutMs: 5_000, signal: patient }), best.address);
});

test('another is taken where the best can not be reached', async (t) => {
  const [best, other] = [await later(t, ok), await later(t, ok)];
  await other.up();
  const candidates = [best.address, other.address];
  assert.deepEqual(await waitHealthy({ candidates, timeoutMs: 5_000, signal: patient }), other.address);
});

test('one that answers nowhere in its time says so', async (t) => {
  const [best, other] = [await later(t, ok), await later(t, (_request, response) => response.destroy())];
  await other.up();
  const candidates = [best.address, other.address];
  await assert.rejects(waitHealthy({ candidates, timeoutMs: 200, signal: patient }), StartTimeoutError);
});
