import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { parse } from 'yaml';
import { isMap } from '../../src/json.ts';
import type { KubeError } from '../../src/kubernetes/kube-error.ts';
import type { KubeObject, Resource } from '../../src/kubernetes/objects.ts';
import { crdText, specText } from '../../src/operator/generate.ts';
import { terminals } from '../../src/operator/terminal-resource.ts';
import { withoutCluster } from '../engines.ts';
import { crds, openCluster, refusal, until } from './cluster.ts';

const skip = await withoutCluster();

function withoutRules(part: unknown): unknown {
  if (Array.isArray(part)) return part.map(withoutRules);
  if (!isMap(part)) return part;
  const { 'x-kubernetes-validations': _rules, ...rest } = part;
  return Object.fromEntries(Object.entries(rest).map(([name, value]) => [name, withoutRules(value)]));
}

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

test('the status of one from before there were rules can be written, where rules leave alone what stays (1.30)', {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  // Of another group and other names, so that nobody else's Terminals are without rules meanwhile.
  const group = `${cluster.namespace}.example.org`;
  const apiVersion = `${group}/v1alpha1`;
  const stored: Resource<KubeObject> = { apiVersion, kind: 'Stored', plural: 'storeds' };
  const names = { plural: stored.plural, singular: 'stored', kind: stored.kind, listKind: 'StoredList' };
  const { metadata: _metadata, spec, ...head } = parse(crdText());
  const metadata = { name: `${stored.plural}.${group}` };
  const define = (withRules: boolean) => {
    const versions: unknown = withRules ? spec.versions : withoutRules(spec.versions);
    return cluster.client.apply(
      crds,
      { ...head, metadata, spec: { ...spec, group, names, versions } },
      { manager: 'terminals-test', force: true },
    );
  };
  const nothing = { userId: 'alice', resources: { limits: { memory: '0' } }, persistence: { size: '0' } };
  // By another name each time: what is there and stays as it is, is not refused.
  let count = 0;
  const make = () => {
    count += 1;
    return cluster.apply(stored, `stored-${count}`, { spec: nothing });
  };
  const outcome = () =>
    make().then(
      () => 'made',
      ({ status }: KubeError) => status,
    );
  try {
    await define(false);
    await until(async () => (await outcome()) === 'made');
    const before = `stored-${count}`;
    await define(true);
    await until(async () => (await outcome()) === 422);
    await cluster.patch(stored, before, { status: { phase: 'Error' } }, 'status');
  } finally {
    await cluster.client.request(
      'DELETE',
      `/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${metadata.name}`,
    );
  }
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
