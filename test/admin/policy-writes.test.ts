import assert from 'node:assert/strict';
import { test } from 'node:test';
import { policyText, until } from '../policy/fixtures.ts';
import { adminStack, codeOf } from './admin.ts';

const writes = { TERMINALS_POLICY_WRITES: 'true' };
const text = `# of the data team
${policyText(
  'data',
  'groups: [data]',
  'image: data:1 # pinned',
  'resources: {limits: {cpu: 500m, memory: 2048Mi}}',
  'persistence: {size: 5Gi}',
  'env: {TZ: Europe/Berlin}',
  'packages: [graphviz]',
)}`;

/** What Open WebUI's page sends when it is saved as it was loaded. */
function asPageSends({ data }: { data: Record<string, unknown> }) {
  const { image, cpu_limit, memory_limit, storage, idle_timeout_minutes, env } = data;
  return {
    image,
    cpu_limit,
    memory_limit,
    ...(storage ? { storage } : {}),
    ...(Number(idle_timeout_minutes) > 0 ? { idle_timeout_minutes } : {}),
    ...(Object.keys(env ?? {}).length > 0 ? { env } : {}),
  };
}

test("a policy is shown in Open WebUI's fields and in ours", async (t) => {
  const { call, program } = await adminStack(t, { files: { 'data.yaml': text } });
  const { status, json } = await call('GET', '/policies/data');
  assert.equal(status, 200);
  assert.deepEqual(json.data, {
    image: 'data:1',
    env: { TZ: 'Europe/Berlin' },
    cpu_limit: '500m',
    memory_limit: '2048Mi',
    storage: '5Gi',
    storage_mode: 'per-user',
    idle_timeout_minutes: 30,
  });
  assert.deepEqual(json.spec.packages, ['graphviz']);
  assert.deepEqual([json.id, json.declared_at], ['data', 'policies/data.yaml:2']);
  assert.equal(json.revision, program.policies.current.revision);
  assert.deepEqual((await call('GET', '/policies')).json[0], json);
  assert.equal(codeOf(await call('GET', '/policies/nothing')), '404 policy-unknown');
});

test('what the page has loaded can be saved as it is, also where policies are not written here', async (t) => {
  const { call, text: read } = await adminStack(t, { files: { 'data.yaml': text } });
  for (const id of ['data', 'default']) {
    const { json } = await call('GET', `/policies/${id}`);
    const saved = await call('PUT', `/policies/${id}`, asPageSends(json));
    assert.deepEqual([saved.status, saved.json], [200, json], JSON.stringify(saved.json));
    const { json: lifecycle } = await call('GET', `/policies/${id}/lifecycle`);
    assert.deepEqual(lifecycle, { policy_id: id, data: {} });
    assert.equal((await call('PUT', `/policies/${id}/lifecycle`, lifecycle.data)).status, 200);
  }
  assert.equal(await read('data.yaml'), text);
});

test('what would change something is refused with the place where it is declared', async (t) => {
  const { call, text: read } = await adminStack(t, { files: { 'data.yaml': text } });
  const { json } = await call('GET', '/policies/data');
  const refused = await call('PUT', '/policies/data', { ...asPageSends(json), image: 'data:2' });
  assert.equal(codeOf(refused), '409 conflict');
  assert.match(refused.json.detail, /policies\/data\.yaml:2.*TERMINALS_POLICY_WRITES=true/);
  assert.equal(codeOf(await call('DELETE', '/policies/data')), '409 conflict');
  assert.equal(codeOf(await call('POST', '/policies', { id: 'new' })), '409 conflict');
  assert.equal(await read('data.yaml'), text);
});

test('where writing is allowed a save changes one line, and the terminals hear of it before the answer', async (t) => {
  const {
    call,
    text: read,
    program,
    run,
    backend,
  } = await adminStack(t, {
    env: writes,
    files: { 'data.yaml': text },
  });
  const { key } = await run('alice', 'data');
  const { json: before } = await call('GET', '/policies/data');
  const saved = await call('PUT', '/policies/data', { ...asPageSends(before), cpu_limit: '2' });
  assert.equal(saved.status, 200, saved.body);
  assert.equal(await read('data.yaml'), text.replace('500m', '"2"'));
  assert.equal(program.policies.current.revision, saved.json.revision);
  assert.notEqual(saved.json.revision, before.revision);
  const listed = await call('GET', '/policies/data');
  assert.deepEqual({ ...listed.json, status: null }, { ...saved.json, status: null });
  await until('the terminal has it', () => backend.actual(key)?.limits?.cpuMillis === 2000);
});

test('what the page leaves out when it is off is off; what it has no field for stays', async (t) => {
  const { call, text: read } = await adminStack(t, { env: writes, files: { 'data.yaml': text } });
  const { json } = await call('PUT', '/policies/data', {
    image: 'data:1',
    cpu_limit: '0.5',
    memory_limit: '2Gi',
  });
  assert.deepEqual(
    [json.spec.persistence.enabled, json.spec.idleTimeoutMinutes, json.spec.env, json.data.storage],
    [false, 0, {}, undefined],
  );
  assert.deepEqual([json.spec.packages, json.spec.groups], [['graphviz'], ['data']]);
  const written = await read('data.yaml');
  // The same quantities in other words are no change.
  assert.match(written, /\{cpu: 500m, memory: 2048Mi\}/);
  assert.match(written, /^# of the data team\n/);
});

test('a policy is made, shown, and taken away again', async (t) => {
  const { call, text: read, program } = await adminStack(t, { env: writes, files: {} });
  const made = await call('POST', '/policies', { id: 'web', data: { image: 'web:1', storage: '2Gi' } });
  assert.deepEqual([made.status, made.json.declared_at], [201, 'policies/web.yaml:1'], made.body);
  assert.deepEqual([made.json.data.storage, made.json.data.idle_timeout_minutes], ['2Gi', 0]);
  assert.match(await read('web.yaml'), /name: web\nspec:\n {2}image: web:1\n/);
  assert.equal(codeOf(await call('POST', '/policies', { id: 'web' })), '409 conflict');
  const put = await call('PUT', '/policies/other', { spec: { image: 'other:1', groups: ['x'] } });
  assert.deepEqual([put.status, put.json.spec.groups], [201, ['x']]);
  const gone = await call('DELETE', '/policies/web');
  assert.deepEqual([gone.status, gone.json], [200, { ok: true }]);
  assert.deepEqual([...program.policies.current.policies.keys()], ['default', 'other']);
  assert.equal(codeOf(await call('DELETE', '/policies/web')), '404 policy-unknown');
});

test('a whole spec replaces the other: what it leaves out gets its default', async (t) => {
  const { call, text: read } = await adminStack(t, { env: writes, files: { 'data.yaml': text } });
  const { json } = await call('GET', '/policies/data');
  const { packages: _, ...spec } = json.spec;
  const put = await call('PUT', '/policies/data', { spec: { ...spec, priority: 9 } });
  assert.deepEqual([put.status, put.json.spec], [200, { ...json.spec, priority: 9, packages: [] }], put.body);
  assert.match(await read('data.yaml'), /# pinned/);
  const both = await call('PUT', '/policies/data', { spec: {}, image: 'x:1' });
  assert.equal(codeOf(both), '400 bad-request');
});

test('what is not valid is refused with the field and what to write instead', async (t) => {
  const { call, text: read } = await adminStack(t, {
    env: { ...writes, TERMINALS_MAX_MEMORY: '4Gi', TERMINALS_ALLOWED_IMAGES: 'data:*' },
    files: { 'data.yaml': text },
  });
  for (const [body, detail] of [
    [{ memory_limit: '8Gi' }, /spec\.resources\.limits\.memory: 8Gi is above TERMINALS_MAX_MEMORY/],
    [{ image: 'evil:1' }, /spec\.image: "evil:1" is not an allowed image/],
    [{ cpu_limit: 'much' }, /spec\.resources\.limits\.cpu/],
    [{ env: { OPEN_TERMINAL_API_KEY: 'x' } }, /every terminal gets a key of its own/],
    [{ spec: { imgae: 'x' } }, /did you mean "image"/],
    [{ idle_timeout_minutes: 1e9 }, /spec\.idleTimeoutMinutes/],
  ] as const) {
    const answer = await call('PUT', '/policies/data', body);
    assert.equal(codeOf(answer), '422 policy-invalid', JSON.stringify(body));
    assert.match(answer.json.detail, detail);
  }
  assert.equal(codeOf(await call('PUT', '/policies/Not_A_Name', {})), '422 policy-invalid');
  assert.equal(codeOf(await call('POST', '/policies', { id: '../../etc/x' })), '422 policy-invalid');
  assert.equal(await read('data.yaml'), text);
});

test('fields that no policy has are refused when they say something, and taken when they do not', async (t) => {
  const { call } = await adminStack(t, { files: { 'data.yaml': text } });
  const { json } = await call('GET', '/policies/data');
  const nothing = {
    restricted: false,
    pod_security_context: {},
    container_security_context: null,
    podTemplate: {},
  };
  assert.equal((await call('PUT', '/policies/data', { ...json.data, ...nothing })).status, 200);
  for (const [field, value] of [
    ['restricted', true],
    ['pod_security_context', { runAsUser: 1 }],
    ['container_security_context', { privileged: true }],
    ['storage_mode', 'shared'],
    ['unheard_of', 1],
    ['image', 7],
    ['idle_timeout_minutes', '30'],
    ['env', { A: 1 }],
  ] as const) {
    const answer = await call('PUT', '/policies/data', { ...json.data, [field]: value });
    assert.equal(codeOf(answer), '400 bad-request', field);
    assert.ok(answer.json.detail.includes(field), answer.json.detail);
  }
});

test('what is laid over a Pod is shown and written; what it may not have is refused, and saying nothing keeps it', async (t) => {
  const policy = `${text}  secretEnv: {KEY: {name: team-keys, key: openai}}\n`;
  const { call, text: read } = await adminStack(t, { files: { 'data.yaml': policy }, env: writes });
  const { json } = await call('GET', '/policies/data');
  const podTemplate = { spec: { nodeSelector: { gpu: 'true' } } };
  const saved = await call('PUT', '/policies/data', { ...json.data, podTemplate });
  assert.deepEqual(
    [saved.status, saved.json.data.podTemplate],
    [200, podTemplate],
    JSON.stringify(saved.json),
  );
  assert.deepEqual(saved.json.spec.secretEnv, { KEY: { name: 'team-keys', key: 'openai' } });
  const written = await read('data.yaml');
  for (const nothing of [{}, null, undefined]) {
    const body = { ...saved.json.data, podTemplate: nothing };
    assert.equal((await call('PUT', '/policies/data', body)).status, 200);
  }
  const refused = await call('PUT', '/policies/data', {
    ...json.data,
    podTemplate: { spec: { hostNetwork: true } },
  });
  assert.equal(codeOf(refused), '422 policy-invalid');
  assert.match(refused.json.detail, /podTemplate\.spec\.hostNetwork/);
  const twice = await call('PUT', '/policies/data', { ...saved.json.data, env: { KEY: 'x' } });
  assert.equal(codeOf(twice), '422 policy-invalid');
  assert.equal(await read('data.yaml'), written);
});

test('a body that is none, or far too large, is refused', async (t) => {
  const { call } = await adminStack(t, { env: writes });
  for (const body of ['{', '[]', 'null', '"x"', '{"__proto__": {"image": "x:1"}}']) {
    assert.equal(codeOf(await call('PUT', '/policies/x', body)), '400 bad-request', body);
  }
  const large = await call('PUT', '/policies/x', { env: { A: 'x'.repeat(300_000) } });
  assert.equal(codeOf(large), '413 bad-request');
});

test('the lifecycle of a policy that is not there yet is empty, so that the page can make it', async (t) => {
  const { call } = await adminStack(t);
  assert.deepEqual((await call('GET', '/policies/new/lifecycle')).json, { policy_id: 'new', data: {} });
  assert.equal(codeOf(await call('PUT', '/policies/new/lifecycle', {})), '404 policy-unknown');
});

test('the lifecycle of a policy is its reset, which is taken as it is, and changed where it is declared', async (t) => {
  const reset = { schedule: '@weekly', timezone: 'Europe/Berlin', keep: ['.config'] };
  const { call } = await adminStack(t, {
    files: { 'data.yaml': policyText('data', `reset: ${JSON.stringify(reset)}`) },
  });
  const path = '/policies/data/lifecycle';
  const { json } = await call('GET', path);
  assert.deepEqual(json, { policy_id: 'data', data: { reset } });
  for (const same of [json.data, { reset: { ...reset, schedule: ' @weekly ' } }]) {
    const { status, json: answer } = await call('PUT', path, same);
    assert.deepEqual([status, answer], [200, json]);
  }
  for (const other of [
    {},
    { reset: null },
    { reset: { ...reset, schedule: '' } },
    { reset: { ...reset, schedule: '@daily' } },
    { reset: { schedule: '@weekly', keep: ['.config'] } },
    { reset: { ...reset, keep: [] } },
  ]) {
    const refused = await call('PUT', path, other);
    assert.equal(codeOf(refused), '409 conflict', JSON.stringify(other));
    assert.match(refused.json.detail, /Set spec\.reset in policies\/data\.yaml:1\./);
  }
});

test('without a reset the lifecycle is empty, and takes nothing else', async (t) => {
  const { call } = await adminStack(t, { files: { 'data.yaml': text } });
  for (const none of [{}, { reset: null }, { reset: {} }, { reset: { schedule: null } }]) {
    assert.deepEqual((await call('PUT', '/policies/data/lifecycle', none)).json.data, {});
  }
  const reset = { reset: { schedule: '@weekly', timezone: 'UTC' } };
  const refused = await call('PUT', '/policies/data/lifecycle', reset);
  assert.equal(codeOf(refused), '409 conflict');
  assert.match(refused.json.detail, /Set spec\.reset in policies\/data\.yaml:2\./);
  const builtin = await call('PUT', '/policies/default/lifecycle', reset);
  assert.equal(codeOf(builtin), '409 conflict');
  assert.match(builtin.json.detail, /Declare it in a file, with spec\.reset\./);
});

test('without a policies directory a write says so', async (t) => {
  const { call } = await adminStack(t, { env: writes, files: null });
  const answer = await call('PUT', '/policies/new', { image: 'x:1' });
  assert.equal(codeOf(answer), '409 conflict');
  assert.match(answer.json.detail, /no policies directory.*TERMINALS_POLICIES_DIR/);
});

test('a write is in the audit log with its file and revision', async (t) => {
  const { call, cwd, program } = await adminStack(t, {
    env: { ...writes, TERMINALS_AUDIT_LOG: 'audit.jsonl' },
    files: { 'data.yaml': text },
  });
  await call('PUT', '/policies/data', { image: 'data:2' });
  await call('PUT', '/policies/data', { image: 'data:3' }, { authorization: 'Bearer wrong-key-0123' });
  const { readFile } = await import('node:fs/promises');
  const lines = (await readFile(`${cwd}/audit.jsonl`, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  const changed = lines.find(({ event }) => event === 'policy-changed');
  assert.deepEqual(
    [changed?.policy, changed?.file, changed?.revision],
    ['data', 'policies/data.yaml:2', program.policies.current.revision],
  );
  assert.ok(lines.some(({ event, reason }) => event === 'refused' && reason === 'unauthenticated'));
});
