import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { crdText, specText } from '../../src/operator/generate.ts';
import { terminals } from '../../src/operator/terminal-resource.ts';
import { withoutCluster } from '../engines.ts';
import { openCluster, refusal } from './cluster.ts';

const skip = await withoutCluster();

test('the CRD and the type are those that the policy schema gives (npm run generate)', async () => {
  assert.equal(await readFile('schemas/terminal.crd.yaml', 'utf8'), crdText());
  assert.equal(await readFile('src/operator/terminal-spec.ts', 'utf8'), await specText());
});

test('a Terminal needs a user alone; the API server fills in the rest', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const { spec } = await cluster.terminal('plain');
  assert.deepEqual(spec.resources, {
    requests: { cpu: '100m', memory: '256Mi' },
    limits: { cpu: '1', memory: '1Gi' },
  });
  assert.deepEqual(spec.persistence, { enabled: true, size: '1Gi', retain: false });
  assert.equal(spec.idleTimeoutMinutes, 30);
  assert.equal(spec.policyId, 'default');
  assert.equal(spec.image, 'ghcr.io/open-webui/open-terminal:latest');
});

test('what can not work is refused with the reason', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const wrong: readonly (readonly [object, RegExp])[] = [
    [{ userId: '' }, /userId/],
    [{ policyId: 'Not A Label' }, /policyId/],
    [{ idleTimeoutMinutes: -1 }, /idleTimeoutMinutes/],
    [{ env: { '1A': 'x' } }, /no digit first/],
    [{ env: { A: 1 } }, /env/],
    [{ resources: { limits: { cpu: 'much' } } }, /cpu/],
    [{ resources: { limits: { cpu: '0' } } }, /limits.cpu: .*above 0 .*write cores such as "2" or 500m/],
    [{ resources: { limits: { cpu: 0 } } }, /limits.cpu: .*above 0/],
    [{ resources: { limits: { cpu: '1000000' } } }, /limits.cpu: .*below 1M/],
    [{ resources: { limits: { cpu: '1e400' } } }, /limits.cpu: /],
    [{ resources: { requests: { cpu: '0m' } } }, /requests.cpu: .*above 0/],
    [{ resources: { requests: { memory: '0' } } }, /requests.memory: .*above 0/],
    [{ resources: { limits: { memory: '0Gi' } } }, /limits.memory: .*above 0 .*write bytes such as 512Mi/],
    [{ resources: { limits: { memory: '8Pi' } } }, /limits.memory: .*below 8Pi/],
    [{ persistence: { size: '0' } }, /persistence.size: .*above 0 .*write a size such as 5Gi/],
    [{ persistence: { size: '9000P' } }, /persistence.size: .*below 8Pi/],
    [{ resources: { requests: { memory: '2Gi' } } }, /requests.memory is more than limits.memory/],
    [{ egress: { allowedDomains: ['https://example.org'] } }, /allowedDomains/],
    [{ restricted: true, packages: ['git'] }, /restricted allows no sudo/],
    [{ restricted: true, egress: { allowedDomains: ['example.org'] } }, /restricted allows no NET_ADMIN/],
    [{ secretEnv: { KEY: { name: 'x' } } }, /secretEnv/],
    [{ typo: true }, /typo/],
  ];
  for (const [spec, message] of wrong) {
    assert.match((await refusal(cluster.terminal('wrong', spec))).message, message, JSON.stringify(spec));
  }
  assert.match((await refusal(cluster.terminal('1-digit-first'))).message, /name must be one of a Service/);
});

test('quantities may be numbers, and every field of the documentation is taken', { skip }, async (t) => {
  const cluster = await openCluster(t);
  await cluster.terminal('full', {
    policyId: 'data',
    contextId: 'chat:1',
    image: 'x:1',
    resources: { requests: { cpu: 1, memory: '256Mi' }, limits: { cpu: 2, memory: '1Gi' } },
    packages: ['graphviz'],
    pipPackages: ['pandas==2.3.*'],
    persistence: { enabled: true, size: '2Gi', storageClass: 'fast', retain: true },
    env: { TZ: 'UTC' },
    secretEnv: { KEY: { name: 'keys', key: 'openai' } },
    egress: { allowedDomains: ['*.example.org'] },
    podTemplate: { metadata: { labels: { a: 'b' } }, spec: { nodeSelector: { a: 'b' } } },
    podSecurityContext: { runAsUser: 1001 },
    containerSecurityContext: { readOnlyRootFilesystem: true },
    startTimeoutSeconds: 30,
    suspend: true,
  });
});

test('user, policy and context of a Terminal never change', { skip }, async (t) => {
  const cluster = await openCluster(t);
  await cluster.terminal('fixed', { contextId: 'chat:1' });
  for (const spec of [
    { userId: 'other' },
    { policyId: 'other' },
    { contextId: 'chat:2' },
    { contextId: null },
  ]) {
    const error = await refusal(cluster.patch(terminals, 'fixed', { spec }));
    assert.match(error.message, /can not be changed/, JSON.stringify(spec));
  }
  await cluster.patch(terminals, 'fixed', { spec: { image: 'other:1' } });
});

test('two managers that apply the same field conflict, unless one forces it', { skip }, async (t) => {
  const cluster = await openCluster(t);
  await cluster.terminal('shared', { image: 'one:1' });
  const { apiVersion, kind } = terminals;
  const metadata = { name: 'shared', namespace: cluster.namespace };
  const other = { apiVersion, kind, metadata, spec: { userId: 'user-shared', image: 'two:1' } };
  const error = await refusal(cluster.client.apply(terminals, other, { manager: 'gitops', force: false }));
  assert.equal(error.status, 409);
  await cluster.client.apply(terminals, other, { manager: 'gitops', force: true });
});

test('the status is written apart: the orchestrator’s activity and the operator’s fields never meet', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  await cluster.terminal('apart');
  const { apiVersion, kind } = terminals;
  const metadata = { name: 'apart', namespace: cluster.namespace };
  const write = (manager: string, status: object) =>
    cluster.client.apply(
      terminals,
      { apiVersion, kind, metadata, ...{ status } },
      { manager, force: false, subresource: 'status' },
    );
  await write('orchestrator', { lastActivityAt: '2026-01-01T00:00:00Z' });
  const { status } = await write('terminals-operator', { phase: 'Running' });
  assert.equal(status?.lastActivityAt, '2026-01-01T00:00:00Z');
  assert.equal(status?.phase, 'Running');
});
