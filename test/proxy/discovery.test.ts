import assert from 'node:assert/strict';
import net from 'node:net';
import { pipeline } from 'node:stream';
import { test } from 'node:test';
import { StartFailedError, TerminalUnreachableError } from '../../src/errors.ts';
import { Discovery, withoutSecurity } from '../../src/proxy/discovery.ts';
import { portOf } from '../../src/proxy/proxy-server.ts';
import { Templates } from '../../src/reconcile/templates.ts';
import { discoveryUser } from '../../src/terminal/names.ts';
import { capturedLog, keyOf, MemoryPolicies, policyOf, until } from '../reconcile/harness.ts';
import { asAlice, assertProblem, type Stack, send, sharedKey, stack } from './stack.ts';

const document = {
  openapi: '3.1.0',
  security: [{ HTTPBearer: [] }],
  paths: {
    '/execute': {
      post: { security: [{ HTTPBearer: [] }], responses: { 200: { description: 'ok' } } },
    },
    '/security': { get: { responses: {} } },
  },
  components: {
    securitySchemes: { HTTPBearer: { type: 'http', scheme: 'bearer' } },
    schemas: { Report: { properties: { security: { type: 'string' } } } },
  },
};

/** A terminal that tells of itself only to who has its key. */
function tells(proxy: Stack, version = '1'): void {
  proxy.upstream.handle = (request, response) => {
    if (!request.headers.authorization?.startsWith('Bearer key-of-')) response.writeHead(401).end();
    else if (request.url === '/openapi.json') {
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(document));
    } else if (request.url === '/system') {
      response.writeHead(200, { 'content-type': 'text/plain' }).end(`system ${version}`);
    } else response.writeHead(200, { 'content-type': 'application/json' }).end(`{"features":"${version}"}`);
  };
}

const keyOnly = { authorization: `Bearer ${sharedKey}` };
const discoveryKey = keyOf(discoveryUser);

test('the answers are there before they are asked for, and the terminal they came from is gone with its files', async (t) => {
  const proxy = await stack(t);
  tells(proxy);
  await proxy.discovery.start();
  await until(() => proxy.backend.count('remove') === 1, 'it was taken and removed');
  const asked = proxy.upstream.requests.length;
  const system = await send(proxy, '/system', { headers: keyOnly });
  assert.deepEqual([system.status, system.body], [200, 'system 1']);
  assert.match(String(system.headers['content-type']), /^text\/plain/);
  assert.equal((await send(proxy, '/p/default/system', { headers: keyOnly })).body, 'system 1');
  assert.equal(JSON.parse((await send(proxy, '/openapi.json', { headers: keyOnly })).body).openapi, '3.1.0');
  assert.equal(proxy.upstream.requests.length, asked, 'nothing was asked again');
  assert.equal(proxy.backend.actual(discoveryKey), undefined);
  assert.equal(proxy.backend.homes.size, 0);
});

test('the document asks for no authentication, and loses nothing else', () => {
  assert.deepEqual(JSON.parse(withoutSecurity(JSON.stringify(document))), {
    openapi: '3.1.0',
    paths: {
      '/execute': { post: { responses: { 200: { description: 'ok' } } } },
      '/security': { get: { responses: {} } },
    },
    components: { schemas: { Report: { properties: { security: { type: 'string' } } } } },
  });
});

test('a document of an unusual form is passed on all the same', () => {
  for (const text of ['{}', '[]', 'null', '"x"', '{"paths":null,"components":[]}', '{"paths":{"/x":null}}']) {
    assert.equal(withoutSecurity(text), text);
  }
});

test('the configuration needs no key, the others do', async (t) => {
  const proxy = await stack(t);
  tells(proxy);
  const config = await send(proxy, '/api/config', { headers: {} });
  assert.deepEqual([config.status, config.body], [200, '{"features":"1"}']);
  assert.equal((await send(proxy, '/p/default/api/config', { headers: {} })).status, 200);
  for (const path of ['/openapi.json', '/system', '/p/default/system']) {
    assertProblem(await send(proxy, path, { headers: {} }), 401, 'unauthenticated');
  }
});

test("with a user these paths are the terminal's own; the user system is no person", async (t) => {
  const proxy = await stack(t);
  tells(proxy);
  await send(proxy, '/system', { headers: { ...asAlice, 'x-user-id': 'system' } });
  assert.equal(proxy.backend.actual(keyOf('system')), undefined);
  assert.equal((await send(proxy, '/system')).body, 'system 1');
  assert.equal(proxy.backend.actual(keyOf('alice'))?.phase, 'Running');
  assertProblem(await send(proxy, '/system', { method: 'POST', headers: keyOnly }), 400, 'user-missing');
});

test('HEAD is answered as GET, without the body', async (t) => {
  const proxy = await stack(t);
  tells(proxy);
  const { status, body } = await send(proxy, '/system', { method: 'HEAD', headers: keyOnly });
  assert.deepEqual([status, body], [200, '']);
});

test('a policy that is unknown is a problem', async (t) => {
  const proxy = await stack(t);
  assertProblem(await send(proxy, '/p/nowhere/system', { headers: keyOnly }), 404, 'policy-unknown');
});

test('they are taken once a revision: equal policies share them, a new image has them taken anew', async (t) => {
  const policies = new MemoryPolicies(
    policyOf(),
    policyOf({}, 'same'),
    policyOf({ packages: ['jq'] }, 'packages'),
  );
  const proxy = await stack(t, { policies });
  tells(proxy);
  await proxy.discovery.start();
  for (const path of ['/system', '/p/same/system', '/p/packages/system']) {
    assert.equal((await send(proxy, path, { headers: keyOnly })).body, 'system 1');
  }
  assert.equal(proxy.backend.count('create'), 1);
  tells(proxy, '2');
  policies.edit(policyOf({ image: 'open-terminal:2' }));
  await until(() => proxy.backend.count('remove') === 2, 'they were taken anew');
  assert.equal((await send(proxy, '/system', { headers: keyOnly })).body, 'system 2');
  assert.equal(proxy.backend.count('create'), 2);
});

test('while new answers can not be had, the last ones are given', async (t) => {
  const proxy = await stack(t);
  tells(proxy);
  await proxy.discovery.start();
  await until(() => proxy.backend.count('remove') === 1, 'it was taken');
  proxy.backend.inject('create', {
    before: () => {
      throw new StartFailedError('It ended.', 'Look in its log.');
    },
  });
  proxy.policies.edit(policyOf({ image: 'broken:1' }));
  await proxy.line('discovery failed');
  assert.equal((await send(proxy, '/system', { headers: keyOnly })).body, 'system 1');
});

test('a hundred requests before there is an answer take it once', async (t) => {
  const proxy = await stack(t);
  tells(proxy);
  const answers = await Promise.all(
    Array.from({ length: 100 }, () => send(proxy, '/system', { headers: keyOnly })),
  );
  assert.ok(answers.every(({ status }) => status === 200));
  assert.equal(proxy.backend.count('create'), 1);
});

test("an answer that can not be had in time is a problem before Open WebUI's 3 s are over", async (t) => {
  const proxy = await stack(t);
  const { promise, resolve } = Promise.withResolvers<void>();
  proxy.backend.inject('create', { before: () => promise });
  const [policy] = proxy.policies.current.policies.values();
  assert.ok(policy);
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const answered = assert.rejects(proxy.discovery.answer(policy, '/system'), TerminalUnreachableError);
  t.mock.timers.tick(2_900);
  await answered;
  t.mock.timers.reset();
  resolve();
});

test('requests have nothing started anew for a while after a start that failed, and a new image is tried at once', async (t) => {
  const proxy = await stack(t);
  tells(proxy);
  const fails = () => {
    throw new StartFailedError('It ended.', 'Look in its log.');
  };
  proxy.backend.inject('create', { before: fails });
  for (let round = 0; round < 5; round += 1)
    assertProblem(await send(proxy, '/api/config', { headers: {} }), 502, 'terminal-unreachable');
  assert.equal(proxy.backend.count('create'), 1);
  proxy.policies.edit(policyOf({ image: 'open-terminal:2' }));
  assert.equal((await send(proxy, '/api/config', { headers: {} })).status, 200);
  assert.equal(proxy.backend.count('create'), 2);
});

test('a start that fails leaves no terminal behind', async (t) => {
  const proxy = await stack(t);
  proxy.backend.inject('create', {
    after: () => {
      throw new StartFailedError('It ended.', 'Look in its log.');
    },
  });
  assertProblem(await send(proxy, '/system', { headers: keyOnly }), 502, 'terminal-unreachable');
  await until(() => proxy.backend.actual(discoveryKey) === undefined, 'it is removed');
  assert.equal(proxy.backend.homes.size, 0);
});

test('a terminal with an IPv6 address is asked as any other', async (t) => {
  const proxy = await stack(t);
  tells(proxy);
  const server = net.createServer((socket) => {
    const to = net.connect(proxy.upstream.port, '127.0.0.1');
    pipeline(socket, to, socket, () => undefined);
  });
  await new Promise<void>((resolve) => server.listen(0, '::1', resolve));
  t.after(() => server.close());
  proxy.backend.address = () => ({ host: '::1', port: portOf(server.address()) });
  assert.equal((await send(proxy, '/system', { headers: keyOnly })).body, 'system 1');
  assert.equal((await send(proxy, '/x')).status, 200);
  const { body } = await send(proxy, '/api/v1/terminals');
  assert.match(body, /"address":"\[::1\]:\d+"/);
});

test('what a crash left behind is removed at the start', async (t) => {
  const proxy = await stack(t);
  tells(proxy);
  await send(proxy, '/x');
  const actual = proxy.backend.actual(keyOf('alice'));
  assert.ok(actual);
  proxy.backend.outside(discoveryKey, { ...actual, key: discoveryKey });
  await proxy.discovery.start();
  await until(() => proxy.backend.actual(discoveryKey) === undefined, 'it is removed');
  assert.equal(proxy.backend.actual(keyOf('alice'))?.phase, 'Running');
});

test('where other processes take answers too, each has a terminal of its own, and leaves theirs alone', async (t) => {
  const proxy = await stack(t);
  tells(proxy);
  const backend = Object.assign(proxy.backend, { shared: true as const });
  const made = new Set<string>();
  const create = backend.create.bind(backend);
  backend.create = async (desired, progress) => {
    made.add(desired.name);
    return { ...(await create(desired, progress)), operated: true };
  };
  const { log } = await capturedLog();
  const policies = new MemoryPolicies(policyOf());
  const parts = { backend, policies, templates: new Templates({}), log };
  const [one, other] = [new Discovery(parts), new Discovery(parts)];
  t.after(() => Promise.all([one.close(), other.close()]));
  await Promise.all([one.start(), other.start()]);
  await until(() => backend.count('remove') === 2, 'both were taken and removed');
  assert.equal(made.size, 2);
  const [policy = assert.fail()] = policies.current.policies.values();
  for (const discovery of [one, other])
    assert.equal((await discovery.answer(policy, '/system')).body, 'system 1');
});

test('its terminal takes room on the host as any other, gives it back, and waits where there is none', async (t) => {
  const proxy = await stack(t, { host: { terminals: 1, memoryBytes: null } });
  tells(proxy);
  const alice = await send(proxy, '/x', { headers: asAlice });
  assert.equal(alice.status, 200);
  await proxy.discovery.start();
  await until(() => proxy.lines.some(({ msg }) => msg === 'discovery failed'), 'there is no room');
  assert.equal(proxy.backend.count('create'), 1, 'only for alice');

  const other = await stack(t, { host: { terminals: 1, memoryBytes: null } });
  tells(other);
  await other.discovery.start();
  await until(() => other.backend.count('remove') === 1, 'it was taken and removed');
  assert.equal((await send(other, '/x', { headers: asAlice })).status, 200);
});

test('on a full host a request is told so, and when to try again', async (t) => {
  const proxy = await stack(t, { host: { terminals: 1, memoryBytes: null } });
  await send(proxy, '/x', { headers: asAlice });
  const answer = await send(proxy, '/x', { headers: { ...asAlice, 'x-user-id': 'bob' } });
  assertProblem(answer, 503, 'over-budget');
  assert.equal(answer.headers['retry-after'], '5');
});
