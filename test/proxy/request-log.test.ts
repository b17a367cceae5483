import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../reconcile/harness.ts';
import { asAlice, assertProblem, send, sharedKey, stack } from './stack.ts';

test('a request is one line that says who, what, where and how it ended', async (t) => {
  const proxy = await stack(t);
  await send(proxy, '/p/default/execute?q=typed', {
    method: 'POST',
    headers: { ...asAlice, 'x-terminal-context-id': 'chat:1', 'x-request-id': 'r-1' },
    body: 'x',
  });
  const { time, ms, terminal, ...line } = await proxy.line();
  assert.ok(typeof time === 'string' && typeof ms === 'number' && ms > 0);
  assert.match(String(terminal), /^terminals-default-alice-/);
  assert.deepEqual(line, {
    level: 'info',
    requestId: 'r-1',
    method: 'POST',
    path: '/p/default/execute',
    status: 200,
    user: 'alice',
    policy: 'default',
    context: 'chat:1',
    admittedBy: 'shared-key',
    msg: 'request',
  });
  assert.equal(proxy.lines.filter(({ msg }) => msg === 'request').length, 1);
});

test('a refused request is one line, too, with the reason', async (t) => {
  const proxy = await stack(t);
  await send(proxy, '/p/nowhere/x');
  const line = await proxy.line('request failed');
  assert.equal(line.level, 'warn');
  assert.equal(line.status, 404);
  assert.equal(line.user, undefined);
  assert.match(JSON.stringify(line.err), /nowhere/);
});

test('no secret is in the log, whatever happens', async (t) => {
  const proxy = await stack(t);
  const secret = {
    ...asAlice,
    cookie: 'session=hidden-cookie',
    'x-openwebui-user-jwt': 'hidden-jwt',
    'proxy-authorization': 'hidden-proxy',
  };
  await send(proxy, '/x?token=hidden-query', { headers: secret, method: 'POST', body: 'hidden-body' });
  await send(proxy, '/x', { headers: { ...secret, authorization: 'Bearer hidden-key' } });
  proxy.upstream.handle = ({ socket }) => socket.end('HTTP/1.1 200 OK\r\nBad Header: hidden-answer\r\n\r\n');
  await send(proxy, '/x?token=hidden-query', { headers: secret });
  proxy.upstream.handle = ({ socket }) => socket.destroy();
  await send(proxy, '/x?token=hidden-query', { headers: secret });
  await proxy.upstream.close();
  await send(proxy, '/x?token=hidden-query', { headers: secret });
  await send(proxy, '/openapi.json?token=hidden-query', { headers: { authorization: 'Bearer hidden-key' } });
  await send(proxy, '/api/v1/nothing?token=hidden-query', { headers: secret });
  await until(
    () => proxy.lines.filter(({ msg }) => String(msg).startsWith('request')).length >= 7,
    'all lines',
  );
  assert.doesNotMatch(proxy.logText(), /hidden/);
  assert.ok(!proxy.logText().includes(sharedKey));
  assert.ok(!proxy.logText().includes('key-of-terminals'));
});

test("the caller's request id is taken over where it is fit for a log, else one is made", async (t) => {
  const proxy = await stack(t);
  const instance = async (id: string | undefined) => {
    const headers = id === undefined ? asAlice : { ...asAlice, 'x-request-id': id };
    return String(assertProblem(await send(proxy, '/p/no/x', { headers }), 404, 'policy-unknown').instance);
  };
  assert.equal(await instance('req_1.2:3-4'), 'urn:terminals:request:req_1.2:3-4');
  const made = /^urn:terminals:request:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
  for (const id of [undefined, '', 'a b', '"x"', '{}', '<script>', 'x'.repeat(129), 'caf\xe9']) {
    assert.match(await instance(id), made);
  }
  assert.notEqual(await instance(undefined), await instance(undefined));
});

test('what fails in what is said of a request is not the end of the server', async (t) => {
  const proxy = await stack(t, {
    answered: () => {
      throw new Error('of nobody');
    },
  });
  for (let round = 0; round < 2; round += 1) assert.equal((await send(proxy, '/x')).status, 200);
});
