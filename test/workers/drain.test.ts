/** A shutdown while it is still asked who somebody is: what came in time is served. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { adminStack } from '../admin/admin.ts';
import { addUser, startOpenWebUi } from '../identity/fixtures.ts';
import { send, startUpstream } from '../proxy/stack.ts';
import { gate, until } from '../reconcile/harness.ts';
import { servedByWorkers } from './serve.ts';

/** An Open WebUI that takes its time, and the headers of a user whom nobody has asked about yet. */
async function slowOpenWebUi(t: TestContext) {
  const openWebUi = await startOpenWebUi(t);
  addUser(openWebUi, 'alice', []);
  const { passed, open } = gate();
  openWebUi.gate = passed;
  const headers = { authorization: `Bearer ${await openWebUi.token('alice')}`, 'x-user-id': 'alice' };
  return { openWebUi, open, headers, env: { TERMINALS_OPEN_WEBUI_URL: openWebUi.url } };
}

test('one process asks on who somebody is while it drains', async (t) => {
  const { openWebUi, open, headers, env } = await slowOpenWebUi(t);
  const { port, backend, program } = await adminStack(t, { env });
  const upstream = await startUpstream(t);
  backend.address = () => ({ host: '127.0.0.1', port: upstream.port });
  const answer = send({ port }, '/x', { headers });
  await until(() => openWebUi.hits.size > 0, 'the question');
  const closed = program.close();
  open();
  assert.deepEqual([(await answer).status, (await answer).body], [200, 'ok']);
  await closed;
});

test('so do workers', async (t) => {
  const { openWebUi, open, headers, env } = await slowOpenWebUi(t);
  const served = await servedByWorkers(t, { env });
  const answer = send(served, '/x', { headers });
  await until(() => openWebUi.hits.size > 0, 'the question', 30_000);
  const ended = served.end('SIGTERM');
  // No worker takes a connection any more.
  const refused = () =>
    send(served, '/health', { headers: {} }).then(
      () => false,
      () => true,
    );
  while (!(await refused())) await new Promise((resolve) => setTimeout(resolve, 10));
  open();
  assert.deepEqual([(await answer).status, (await answer).body], [200, 'ok']);
  assert.equal(await ended, 0);
});
