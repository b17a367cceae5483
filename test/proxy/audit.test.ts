import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { auditDestination } from '../../src/audit.ts';
import { until } from '../reconcile/harness.ts';
import { asAlice, assertProblem, send, stack } from './stack.ts';
import { authenticate, dial, sessionPath } from './websocket/clients.ts';

const fullDisk = '/dev/full';

/** An audit log that a test reads: each line as who, what and why. */
function recorded() {
  const lines: string[] = [];
  const audit = {
    write(line: string) {
      const { event, user, claimedUser, reason } = JSON.parse(line);
      lines.push([event, user ?? claimedUser, reason].filter(Boolean).join(' '));
    },
  };
  return { audit, lines };
}

test('a WebSocket whose query names another user is recorded as refused, and not as admitted', async (t) => {
  const { audit, lines } = recorded();
  const proxy = await stack(t, { audit });
  const client = await dial(t, proxy, '/api/terminals/s-1?user_id=bob');
  authenticate(client);
  assert.equal((await client.closed())[0], 4003);
  await proxy.line('websocket refused');
  assert.deepEqual(lines, ['refused alice user-mismatch']);
});

test('a WebSocket at another path is recorded as refused for that', async (t) => {
  const { audit, lines } = recorded();
  const proxy = await stack(t, { audit });
  const client = await dial(t, proxy, '/execute');
  authenticate(client);
  assert.equal((await client.closed())[0], 4004);
  await proxy.line('websocket refused');
  assert.deepEqual(lines, ['refused alice not-found']);
});

const wrongKey = { 'x-user-id': 'alice', authorization: 'Bearer wrong' };

test('a WebSocket with a wrong key and no first message is told so, and recorded', async (t) => {
  const { audit, lines } = recorded();
  const proxy = await stack(t, { audit, firstMessageTimeoutMs: 100 });
  const client = await dial(t, proxy, sessionPath, wrongKey);
  assert.deepEqual(await client.closed(), [
    4001,
    'no auth message within 0.1 seconds: The key is not the one this server expects.',
  ]);
  await proxy.line('websocket refused');
  assert.deepEqual(lines, ['refused alice unauthenticated']);
});

test('one with a wrong key that leaves before its first message is recorded, and one that brought none is not', async (t) => {
  const { audit, lines } = recorded();
  const proxy = await stack(t, { audit });
  for (const headers of [wrongKey, { 'x-user-id': 'bob' }]) {
    const client = await dial(t, proxy, sessionPath, headers);
    client.socket.close(1000);
    await client.closed();
    await until(() => proxy.sockets.open === 0, 'nothing is left');
  }
  await until(() => proxy.lines.length === 2, 'both lines');
  assert.deepEqual(lines, ['refused alice unauthenticated']);
});

test('a wrong first message is recorded once', async (t) => {
  const { audit, lines } = recorded();
  const proxy = await stack(t, { audit });
  const client = await dial(t, proxy, sessionPath, wrongKey);
  authenticate(client, 'wrong');
  assert.equal((await client.closed())[0], 4001);
  await proxy.line('websocket refused');
  assert.deepEqual(lines, ['refused alice unauthenticated']);
});

test('discovery with a wrong key is recorded as refused', async (t) => {
  const { audit, lines } = recorded();
  const proxy = await stack(t, { audit });
  for (const path of ['/openapi.json', '/system', '/p/default/system'])
    assertProblem(
      await send(proxy, path, { headers: { authorization: 'Bearer wrong' } }),
      401,
      'unauthenticated',
    );
  assert.deepEqual(lines, Array(3).fill('refused unauthenticated'));
});

test('on a full disk nobody is let in unrecorded; who is refused is told why as ever, and the server serves on', {
  skip: !existsSync(fullDisk),
}, async (t) => {
  const audit = auditDestination({ auditLog: { file: fullDisk } }) ?? assert.fail();
  const proxy = await stack(t, { audit });
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
