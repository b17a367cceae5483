import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asAlice, send, stack } from '../proxy/stack.ts';

test('liveness, readiness and what this is need no key and no user', async (t) => {
  const proxy = await stack(t);
  const answer = async (path: string) => {
    const { status, body } = await send(proxy, path, { headers: {} });
    return [status, JSON.parse(body)];
  };
  assert.deepEqual(await answer('/health'), [200, { status: 'ok' }]);
  assert.deepEqual(await answer('/ready'), [200, { ready: true, reasons: [] }]);
  const [status, info] = await answer('/info');
  assert.equal(status, 200);
  assert.deepEqual([info.name, info.version, info.backend], ['terminals', '1.2.3', 'process']);
  assert.deepEqual(info.unenforced, ['cpu limit']);
});

test('what is not ready says why, and is alive all the same', async (t) => {
  const reasons = ['the docker backend has not answered yet'];
  const proxy = await stack(t, { notReady: () => reasons });
  const ready = await send(proxy, '/ready', { headers: {} });
  assert.deepEqual([ready.status, JSON.parse(ready.body)], [503, { ready: false, reasons }]);
  assert.equal((await send(proxy, '/health', { headers: {} })).status, 200);
});

test("with a user these paths are the terminal's own", async (t) => {
  const proxy = await stack(t);
  proxy.upstream.handle = (request, response) => response.end(`the terminal's ${request.url}`);
  for (const path of ['/health', '/ready', '/info']) {
    assert.equal((await send(proxy, path, { headers: asAlice })).body, `the terminal's ${path}`);
  }
});
