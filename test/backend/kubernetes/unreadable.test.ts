/** A Terminal that no orchestrator would write costs the others nothing. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import pino from 'pino';
import { KubernetesBackend } from '../../../src/backend/kubernetes/kubernetes-backend.ts';
import { limitChanges, settingChanges } from '../../../src/terminal/changes.ts';
import { terminalName } from '../../../src/terminal/names.ts';
import type { Actual } from '../../../src/terminal/terminal.ts';
import { apiServer, json, list } from '../../kubernetes/api-server.ts';
import { until } from '../../operator/cluster.ts';
import { terminal } from '../../operator/fixtures.ts';
import { desired } from '../../terminal/fixtures.ts';
import { keyOf, never } from './fixtures.ts';

const plain = { requests: { cpu: '100m', memory: '256Mi' }, limits: { cpu: '1', memory: '1Gi' } };

function resource(user: string, resources: unknown = plain) {
  const { metadata, spec, ...rest } = terminal({ spec: { userId: user, policyId: 'default' } });
  return {
    ...rest,
    metadata: { ...metadata, name: terminalName(keyOf(user)) },
    spec: { ...spec, resources },
  };
}

/** An orchestrator's backend on an API server that has these. */
async function backendWith(t: TestContext, ...items: readonly unknown[]) {
  const { client } = await apiServer(t, (_, response, url) => {
    if (url.searchParams.has('watch')) response.writeHead(200).flushHeaders();
    else json(response, list('10', url.pathname.endsWith('/terminals') ? items : []));
  });
  const warnings: unknown[] = [];
  const backend = new KubernetesBackend({
    ...{ client, namespace: 'n', address: 'pod', replicas: { name: 'o' }, syncMs: 5_000 },
    pods: {
      ...{ labels: {}, nodeSelector: {}, tolerations: [], restricted: false },
      ...{ podSecurityContext: {}, containerSecurityContext: {} },
    },
    log: pino({ level: 'warn' }, { write: (line: string) => warnings.push(JSON.parse(line)) }),
  });
  t.after(() => backend.close());
  const relisted: Actual[] = [];
  backend.watch({ count: 0, changed: () => undefined, relisted: (all) => relisted.push(...all) }, never);
  return { backend, relisted, warnings };
}

test('quantities that no policy could have are told as differences, which the next update puts right', async (t) => {
  const odd = { requests: { cpu: '0', memory: '1E' }, limits: { cpu: 0, memory: '9999999P' } };
  const { backend, relisted } = await backendWith(t, resource('alice', odd), resource('bob'));
  const [alice, bob, ...more] = await backend.list(never);
  assert.deepEqual([alice?.key.user, bob?.key.user, more], ['alice', 'bob', []]);
  await until(() => relisted.length === 2);
  assert.ok(alice);
  const limits = { ...plain.limits, pids: 9 };
  const persistence = { enabled: true, size: '1Gi' };
  const wanted = desired({ resources: { ...plain, limits }, persistence });
  assert.deepEqual(
    limitChanges(alice.limits, wanted.limits).map(({ field }) => field),
    ['resources.limits.cpu', 'resources.limits.memory'],
  );
  const settings = settingChanges(alice.settings, wanted).filter(({ field }) => field.includes('requests'));
  assert.deepEqual(settings, [
    { field: 'resources.requests.cpu', from: '0', to: '100m' },
    { field: 'resources.requests.memory', from: '1E', to: '256Mi' },
  ]);
});

test('what can not be made sense of at all is left out, with a warning', async (t) => {
  const { backend, relisted, warnings } = await backendWith(t, resource('alice', null), resource('bob'));
  assert.deepEqual(
    (await backend.list(never)).map(({ key }) => key.user),
    ['bob'],
  );
  await until(() => relisted.length === 1);
  assert.match(JSON.stringify(warnings), /terminals-default-alice/);
});
