import assert from 'node:assert/strict';
import http from 'node:http';
import { test } from 'node:test';
import * as errors from '../../src/errors.ts';
import { problemOf, sendProblem } from '../../src/proxy/problem.ts';
import { keyOf, MemoryPolicies, policyOf } from '../reconcile/harness.ts';
import { asAlice, assertProblem, RawClient, send, sharedKey, stack } from './stack.ts';

/** Every class of src/errors.ts: what callers may rely on. */
const known: readonly (readonly [error: errors.TerminalsError, type: string, status: number])[] = [
  [new errors.BadRequestError('m', 'h'), 'bad-request', 400],
  [new errors.UserMissingError(), 'user-missing', 400],
  [new errors.UnauthenticatedError('m', 'h'), 'unauthenticated', 401],
  [new errors.TokenRefusedError('expired', 'm', 'h'), 'unauthenticated', 401],
  [new errors.UserMismatchError(), 'user-mismatch', 403],
  [new errors.IdentityUnavailableError('m', 'h'), 'identity-unavailable', 503],
  [new errors.AuditUnavailableError('m', 'h'), 'audit-unavailable', 503],
  [new errors.ForbiddenError('m', 'h'), 'forbidden', 403],
  [new errors.PolicyUnknownError('p'), 'policy-unknown', 404],
  [new errors.NotFoundError('m', 'h'), 'not-found', 404],
  [new errors.ConflictError('m', 'h'), 'conflict', 409],
  [new errors.InvalidPolicyError('m', 'h'), 'policy-invalid', 422],
  [new errors.TerminalUnreachableError('m', 'h'), 'terminal-unreachable', 502],
  [new errors.EngineUnavailableError('m', 'h'), 'engine-unavailable', 503],
  [new errors.OverBudgetError('m', 'h'), 'over-budget', 503],
  [new errors.ImagePullError('m', 'h'), 'image-pull-failed', 503],
  [new errors.StartFailedError('m', 'h'), 'start-failed', 502],
  [new errors.StartTimeoutError('m', 'h'), 'start-timeout', 504],
  [new errors.SecretMissingError('m', 'h'), 'secret-missing', 503],
  [new errors.TerminalPausedError('m', 'h'), 'terminal-paused', 504],
  [new errors.UpstreamTimeoutError('m', 'h'), 'upstream-timeout', 504],
  [new errors.ShuttingDownError(), 'shutting-down', 503],
];

for (const [error, type, status] of known) {
  test(`${error.name} is the problem ${type} with status ${status}, and says what to do`, () => {
    const problem = problemOf(error, 'r-1');
    assert.deepEqual(problem, {
      type: `urn:terminals:problem:${type}`,
      title: type.replaceAll('-', ' '),
      status,
      detail: `${error.message} ${error.hint}`,
      instance: 'urn:terminals:request:r-1',
    });
    assert.ok(error.hint.length > 0);
  });
}

test('no error class is missing in this list', () => {
  const listed = new Set(known.map(([{ name }]) => name));
  const classes = Object.entries(errors)
    .filter(([, value]) => typeof value === 'function' && value.prototype instanceof errors.TerminalsError)
    .map(([name]) => name);
  assert.deepEqual(
    classes.filter((name) => !listed.has(name)),
    [],
  );
});

test('what is not one of ours stays in the log: the answer tells nothing of it', () => {
  for (const error of [
    new Error('password=hunter2'),
    new TypeError('hunter2'),
    'hunter2',
    null,
    undefined,
    {},
  ]) {
    const problem = problemOf(error);
    assert.equal(problem.status, 500);
    assert.equal(problem.type, 'urn:terminals:problem:internal');
    assert.doesNotMatch(JSON.stringify(problem), /hunter2/);
  }
});

test("a malformed request's own status is kept where it is the caller's fault, and only there", () => {
  const marked = (statusCode: unknown) => problemOf(Object.assign(new Error('m'), { statusCode }));
  assert.deepEqual([marked(415).status, marked(415).detail], [415, 'm']);
  for (const statusCode of [200, 302, 500, 503, '400', Number.NaN, null]) {
    assert.equal(marked(statusCode).status, 500);
  }
});

test('a problem is not to be kept, says how to authenticate, and when to come again', async (t) => {
  const answers: Record<string, errors.TerminalsError> = {
    '/401': new errors.UnauthenticatedError('m', 'h'),
    '/503': new errors.ShuttingDownError(),
    '/404': new errors.PolicyUnknownError('ü'),
  };
  const server = http.createServer(({ url }, response) =>
    sendProblem(response, problemOf(answers[url ?? ''])),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  const unauthenticated = await send(address, '/401');
  assert.equal(unauthenticated.headers['www-authenticate'], 'Bearer realm="terminals"');
  assert.equal(unauthenticated.headers['cache-control'], 'no-store');
  const busy = await send(address, '/503');
  assert.equal(busy.headers['retry-after'], '5');
  const unknown = await send(address, '/404');
  assert.match(assertProblem(unknown, 404, 'policy-unknown').detail as string, /"ü"/);
});

test('where an answer had begun, the connection is cut instead', async (t) => {
  const server = http.createServer((_request, response) => {
    response.write('half');
    setImmediate(() => sendProblem(response, problemOf(new errors.ShuttingDownError())));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === 'object' && address !== null);
  await assert.rejects(send(address, '/'), { code: 'ECONNRESET' });
});

test('each way to be refused at the door is its problem, and no terminal is made for it', async (t) => {
  const proxy = await stack(t);
  const without = ({ ...headers }: Record<string, string>, name: string) => {
    delete headers[name];
    return headers;
  };
  const answer = (path: string, headers: Record<string, string>) => send(proxy, path, { headers });
  assertProblem(await answer('/x', without(asAlice, 'authorization')), 401, 'unauthenticated');
  assertProblem(await answer('/x', { ...asAlice, authorization: 'Bearer wrong' }), 401, 'unauthenticated');
  assertProblem(await answer('/x', without(asAlice, 'x-user-id')), 400, 'user-missing');
  assertProblem(await answer('/x', { ...asAlice, 'x-user-id': 'u'.repeat(513) }), 400, 'bad-request');
  assertProblem(await answer('/p/nowhere/x', asAlice), 404, 'policy-unknown');
  assertProblem(await answer('/p//x', asAlice), 404, 'policy-unknown');
  assertProblem(await answer('/p/%zz/x', asAlice), 400, 'bad-request');
  for (const context of ['other:1', 'chat:', 'chat:a b', `chat:${'x'.repeat(257)}`]) {
    assertProblem(await answer('/x', { ...asAlice, 'x-terminal-context-id': context }), 400, 'bad-request');
  }
  assertProblem(await answer('/api/v1/nothing', asAlice), 404, 'not-found');
  assertProblem(await answer('/api/v1/policies/%zz', asAlice), 400, 'bad-request');
  assert.equal(proxy.backend.count('create'), 0);
});

test('a refusal quotes no more of a path than what may have been meant', async (t) => {
  const proxy = await stack(t);
  const name = 'a'.repeat(10_000);
  for (const path of [`/p/%zz${name}/x`, `/p/${name}/x`]) {
    const { status, body } = await send(proxy, path);
    assert.ok(status === 400 || status === 404);
    assert.ok(body.length < 500, `${path.slice(0, 10)}: ${body.length} bytes`);
  }
  const longest = 'a'.repeat(63);
  assert.ok((await send(proxy, `/p/${longest}/x`)).body.includes(longest));
});

test('each way a start can fail is its problem', async (t) => {
  const proxy = await stack(t);
  for (const [error, type, status] of known.filter(([{ status }]) => status > 500)) {
    proxy.backend.inject('create', {
      before: () => {
        throw error;
      },
    });
    const problem = assertProblem(await send(proxy, '/x'), status, type);
    assert.match(String(problem.detail), new RegExp(error.hint));
  }
  proxy.backend.inject('create', {
    before: () => {
      throw new Error('of nobody');
    },
  });
  assertProblem(await send(proxy, '/x'), 500, 'internal');
});

test('policies, contexts and users each have a terminal of their own', async (t) => {
  const proxy = await stack(t, { policies: new MemoryPolicies(policyOf(), policyOf({}, 'data')) });
  await send(proxy, '/x');
  await send(proxy, '/p/data/x');
  await send(proxy, '/x', { headers: { ...asAlice, 'x-terminal-context-id': 'chat:1' } });
  await send(proxy, '/x', { headers: { ...asAlice, 'x-user-id': 'bob' } });
  await send(proxy, '/x', { headers: { ...asAlice, 'x-terminal-context-id': ' default ' } });
  const keys = [keyOf('alice'), keyOf('alice', 'data'), keyOf('alice', 'default', 'chat:1'), keyOf('bob')];
  for (const key of keys) assert.equal(proxy.backend.actual(key)?.phase, 'Running', JSON.stringify(key));
  assert.equal(proxy.backend.count('create'), keys.length);
});

test('a problem in the middle of an upload is answered, and the connection is still in order', async (t) => {
  const proxy = await stack(t);
  const client = await RawClient.connect(t, proxy);
  const upload = 'x'.repeat(100_000);
  client.write(
    `POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: ${upload.length}\r\n\r\n${upload.slice(0, 10)}`,
  );
  await client.until(/^HTTP\/1\.1 401 /);
  client.received = '';
  client.write(upload.slice(10));
  client.write(
    `GET /x HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${sharedKey}\r\nX-User-Id: alice\r\nConnection: close\r\n\r\n`,
  );
  await client.untilEnd();
  assert.match(client.received, /^HTTP\/1\.1 200 /);
});
