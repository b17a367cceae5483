import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { StartFailedError } from '../../src/errors.ts';
import { terminalName } from '../../src/terminal/names.ts';
import { terminalsHere } from '../command/cli.ts';
import { policyText, until } from '../policy/fixtures.ts';
import { adminKey, adminStack, codeOf } from './admin.ts';

test('a reconcile reads the policies anew before it answers, and says their revision and problems', async (t) => {
  const { call, cwd, program, backend } = await adminStack(t, { files: {} });
  await writeFile(path.join(cwd, 'policies', 'new.yaml'), policyText('new', 'image: new:1'));
  await writeFile(path.join(cwd, 'policies', 'bad.yaml'), policyText('bad', 'image: A B'));
  const listed = backend.count('list');
  const { status, json } = await call('POST', '/reconcile');
  assert.equal(status, 200);
  assert.ok([...program.policies.current.policies.keys()].some((id) => id === 'new'));
  assert.equal(json.revision, program.policies.current.revision);
  assert.deepEqual(
    json.problems.map(({ file }: { file: string }) => file),
    ['policies/bad.yaml'],
  );
  assert.ok(backend.count('list') > listed, 'the backend was asked');
});

test('a reconcile finds what was changed while nobody told of it', async (t) => {
  const { call, run, backend } = await adminStack(t);
  const terminal = await run('alice');
  backend.deaf = true;
  backend.outside(terminal.key, { ...terminal, limits: { ...terminal.limits, memoryBytes: 1 } });
  assert.equal((await call('POST', '/reconcile')).status, 200);
  await until('it is put right', () => backend.actual(terminal.key)?.limits?.memoryBytes === 1024 ** 3);
});

test('a reconcile while the backend is away is a 503, and the policies are read all the same', async (t) => {
  const { call, cwd, program, backend } = await adminStack(t, { files: {} });
  await writeFile(path.join(cwd, 'policies', 'new.yaml'), policyText('new'));
  backend.up = false;
  assert.equal(codeOf(await call('POST', '/reconcile')), '503 engine-unavailable');
  assert.ok([...program.policies.current.policies.keys()].some((id) => id === 'new'));
  backend.up = true;
});

test('a retry goes on with a stalled rollout, and answers with how far it is', async (t) => {
  const text = policyText('data', 'image: data:1', 'rollout: {when: now, pauseOnFailures: 1}');
  const { call, run, backend, port } = await adminStack(t, {
    env: { TERMINALS_POLICY_WRITES: 'true' },
    files: { 'data.yaml': text },
  });
  const { key } = await run('alice', 'data');
  const failure = new StartFailedError('It is broken.', 'Mend it.', { lastLines: ['begins', 'is broken'] });
  let broken = true;
  backend.inject('create', { before: () => (broken ? Promise.reject(failure) : undefined) }, 50);
  const spec = { image: 'data:2', rollout: { when: 'now', pauseOnFailures: 1 } };
  assert.equal((await call('PUT', '/policies/data', { spec })).status, 200);
  const holds = async () => {
    const { json } = await call('GET', '/policies/data');
    return json.status.conditions.find(({ status }: { status: string }) => status === 'True');
  };
  await until('it is stalled', async () => (await holds()).type === 'Stalled');
  assert.equal((await holds()).reason, 'RolloutFailed');
  const { json: status } = await call('GET', '/status');
  assert.deepEqual(status.policies.stalled, ['data']);
  const { revision_in_force: good, stall } = (await call('GET', '/policies/data')).json.status;
  assert.deepEqual(
    [stall.terminal, stall.reason, stall.last_lines],
    [terminalName(key), 'It is broken.', ['begins', 'is broken']],
  );
  const server = ['--server', `http://127.0.0.1:${port}`];
  const { out } = await terminalsHere(['policies', ...server], { env: { TERMINALS_ADMIN_KEY: adminKey } });
  assert.match(out, new RegExp(`\n\n${terminalName(key)} wrote:\n {2}begins\n {2}is broken\n$`));

  broken = false;
  const retried = await call('POST', '/policies/data/retry');
  assert.equal(retried.status, 200, retried.body);
  assert.equal(retried.json.failures, 0);
  assert.equal(retried.json.stall, null);
  await until('it is ready', async () => (await holds()).type === 'Ready');
  assert.notEqual(backend.actual(key)?.revision, good);
});

test('a retry of a policy that there is not is a 404, and both are for administrators', async (t) => {
  const { call } = await adminStack(t);
  assert.equal(codeOf(await call('POST', '/policies/none/retry')), '404 policy-unknown');
  assert.equal(codeOf(await call('POST', '/policies/default/retry', undefined, {})), '401 unauthenticated');
  assert.equal(codeOf(await call('POST', '/reconcile', undefined, {})), '401 unauthenticated');
});
