import assert from 'node:assert/strict';
import { test } from 'node:test';
import { assertProblem, send, sharedKey, stack } from '../proxy/stack.ts';
import { MemoryPolicies, policyOf } from '../reconcile/harness.ts';

const headers = { authorization: `Bearer ${sharedKey}` };

test('the policies in force are listed with their fields and where they are declared; no user is needed', async (t) => {
  const data = {
    ...policyOf({ image: 'data:1' }, 'data'),
    declaredAt: { file: 'policies/data.yaml', line: 7, column: 1 },
  };
  const proxy = await stack(t, { policies: new MemoryPolicies(policyOf(), data) });
  const { status, body, headers: answered } = await send(proxy, '/api/v1/policies', { headers });
  assert.equal(status, 200);
  assert.match(String(answered['content-type']), /^application\/json/);
  const [first, second] = JSON.parse(body);
  assert.deepEqual([first.id, first.declared_at], ['default', '(built-in):1']);
  assert.deepEqual(
    [second.id, second.spec.image, second.declared_at],
    ['data', 'data:1', 'policies/data.yaml:7'],
  );
});

test('an edit shows at once', async (t) => {
  const proxy = await stack(t);
  proxy.policies.edit(policyOf({ image: 'new:1' }));
  const { body } = await send(proxy, '/api/v1/policies', { headers });
  assert.equal(JSON.parse(body)[0].spec.image, 'new:1');
});

test('without the key there is nothing to see', async (t) => {
  const proxy = await stack(t);
  for (const wrong of [{}, { authorization: 'Bearer wrong' }, { 'x-user-id': 'alice' }]) {
    const answer = await send(proxy, '/api/v1/policies', { headers: wrong });
    assertProblem(answer, 401, 'unauthenticated');
    assert.doesNotMatch(answer.body, /open-terminal/);
  }
});

test('in open mode it is open', async (t) => {
  const proxy = await stack(t, { key: null });
  assert.equal((await send(proxy, '/api/v1/policies', { headers: {} })).status, 200);
});

test('it is never a terminal that answers here, whatever user is named', async (t) => {
  const proxy = await stack(t);
  const named = { ...headers, 'x-user-id': 'alice' };
  assert.equal((await send(proxy, '/api/v1/policies', { headers: named })).status, 200);
  assertProblem(await send(proxy, '/api/v1/nothing', { headers: named }), 404, 'not-found');
  assertProblem(await send(proxy, '/api/v1', { headers: named }), 404, 'not-found');
  assert.equal(proxy.upstream.requests.length, 0);
});
