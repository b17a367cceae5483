import assert from 'node:assert/strict';
import { test } from 'node:test';
import { auditDestination } from '../../src/audit.ts';
import { asAlice, assertProblem, send, stack } from './stack.ts';
import { authenticate, dial } from './websocket/clients.ts';

const onFullDisk = auditDestination({ auditLog: { file: '/dev/full' } }) ?? assert.fail();

test('on a full disk nobody is let in unrecorded; who is refused is told why as ever, and the server serves on', async (t) => {
  const proxy = await stack(t, { audit: onFullDisk });
  const wrong = { ...asAlice, authorization: 'Bearer wrong' };
  for (let round = 0; round < 3; round += 1) {
    assertProblem(await send(proxy, '/x'), 503, 'audit-unavailable');
    assertProblem(await send(proxy, '/x', { headers: wrong }), 401, 'unauthenticated');
    assertProblem(await send(proxy, '/api/v1/terminals', { headers: wrong }), 401, 'unauthenticated');
  }
  const client = await dial(t, proxy);
  authenticate(client);
  assert.equal((await client.closed())[0], 4003);
  const other = await dial(t, proxy);
  authenticate(other, 'wrong');
  assert.equal((await other.closed())[0], 4001);
  assert.equal(proxy.backend.count('create'), 0);
  assert.equal(proxy.lines.filter(({ msg }) => String(msg).startsWith('the audit log')).length, 1);
  assert.equal((await send(proxy, '/health', { headers: {} })).status, 200);
});
