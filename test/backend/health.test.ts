/** Which of the addresses of a terminal is taken when it begins to answer. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { type TestContext, test } from 'node:test';
import { waitHealthy } from '../../src/backend/health.ts';
import { StartTimeoutError } from '../../src/errors.ts';
import { patient, unusedPort } from '../reconcile/harness.ts';

/** A server that is not up yet, and the address where it will be. */
function later(t: TestContext, handle: http.RequestListener) {
  const server = http.createServer(handle);
  const address = { host: '127.0.0.1', port: unusedPort() };
  const up = async () => {
    server.listen(address);
    await once(server, 'listening');
  };
  t.after(() => server.close());
  return { address, up };
}

const ok: http.RequestListener = (_request, response) => response.end();

test('the best address is taken, also where it came up between being asked and the answer of another', async (t) => {
  const best = later(t, ok);
  const other = later(t, async (_request, response) => {
    await best.up();
    response.end();
  });
  await other.up();
  const candidates = [best.address, other.address];
  assert.deepEqual(await waitHealthy({ candidates, timeoutMs: 5_000, signal: patient }), best.address);
});

test('another is taken where the best can not be reached', async (t) => {
  const [best, other] = [later(t, ok), later(t, ok)];
  await other.up();
  const candidates = [best.address, other.address];
  assert.deepEqual(await waitHealthy({ candidates, timeoutMs: 5_000, signal: patient }), other.address);
});

test('one that answers nowhere in its time says so', async (t) => {
  const [best, other] = [later(t, ok), later(t, (_request, response) => response.destroy())];
  await other.up();
  const candidates = [best.address, other.address];
  await assert.rejects(waitHealthy({ candidates, timeoutMs: 200, signal: patient }), StartTimeoutError);
});
