/**
 * Two orchestrators as the chart starts them, with its variables and under its ServiceAccount, on a real API server; the test
 * plays the kubelet, so no node is needed.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { KubeClient } from '../../src/kubernetes/client.ts';
import { leases } from '../../src/kubernetes/leader.ts';
import { type ConfigMap, configMaps, events, type KubeObject, pathOf } from '../../src/kubernetes/objects.ts';
import { requestAnnotation } from '../../src/kubernetes/reconcile-request.ts';
import { terminals } from '../../src/operator/terminal-resource.ts';
import { statusAnnotation } from '../../src/policy/config-map-report.ts';
import { missingImage, pretendKubelet } from '../backend/kubernetes/fixtures.ts';
import { environment as chartEnvironment, find, render, without } from '../charts/helm.ts';
import { withoutCluster } from '../engines.ts';
import { accountWith } from '../operator/account.ts';
import { type Cluster, openCluster, refusal, until } from '../operator/cluster.ts';
import { policyWith } from '../policy/fixtures.ts';
import { Repository } from '../policy/repository.ts';
import { key, type RunningProgram, serve } from './program.ts';

const skip = (await withoutCluster()) || (await without('helm'));
const name = 'web-terminals-orchestrator';
const policiesMap = 'web-terminals-policies';

interface StatusText {
  readonly policies?: readonly string[];
  readonly conditions?: Readonly<Record<string, { readonly type: string; readonly message?: string }>>;
  readonly lastHandledReconcileAt?: string;
}

function policy(image: string): string {
  return policyWith('team', {
    image,
    idleTimeoutMinutes: 0,
    rollout: { when: 'now', idleAfterMinutes: 0 },
  });
}

async function statusOf(cluster: Cluster): Promise<StatusText> {
  const map = await cluster.get(configMaps, policiesMap);
  return JSON.parse(map?.metadata.annotations?.[statusAnnotation] ?? '{}');
}

async function eventsOf(cluster: Cluster): Promise<readonly string[]> {
  const query = { fieldSelector: `involvedObject.name=${policiesMap}` };
  const list: { items: readonly (KubeObject & { reason: string; message: string })[] } =
    await cluster.client.request('GET', pathOf(events, cluster.namespace), { query });
  return list.items.map(({ reason, message }) => `${reason}: ${message}`);
}

async function admin({ url }: RunningProgram, method: string, route: string): Promise<unknown> {
  const headers = { authorization: `Bearer ${key}` };
  const response = await fetch(`${url}/api/v1${route}`, { method, headers });
  assert.equal(response.status, 200, await response.clone().text());
  return response.json();
}

async function conditionOf(program: RunningProgram): Promise<string> {
  const { conditions } = Object(Object(await admin(program, 'GET', '/policies/team')).status);
  return conditions?.find(({ status }: { status: string }) => status === 'True')?.type;
}

/** Their terminal runs once this resolves; nothing answers in it. */
async function terminalOf(cluster: Cluster, { url }: RunningProgram, user: string): Promise<string> {
  const asked = new AbortController();
  const headers = { authorization: `Bearer ${key}`, 'x-user-id': user };
  fetch(`${url}/p/team/files`, { headers, signal: asked.signal }).catch(() => undefined);
  await cluster.status(`terminals-team-${user}`, ({ phase }) => phase === 'Running');
  asked.abort();
  return (await cluster.get(terminals, `terminals-team-${user}`))?.spec.image ?? '';
}

/** Starts replicas with what the chart's Deployment and Role say. */
async function chartOn(t: TestContext, cluster: Cluster, more: Record<string, string> = {}) {
  const objects = await render({ namespace: cluster.namespace });
  const account = await accountWith(cluster, name, find(objects, 'Role', name).get('rules'));
  const folder = await mkdtemp(path.join(os.tmpdir(), 'terminals-replicas-'));
  const programs: RunningProgram[] = [];
  t.after(async () => {
    for (const program of programs) await program.stop();
    await rm(folder, { recursive: true, force: true });
  });
  const kubeconfig = path.join(folder, 'kubeconfig');
  await writeFile(kubeconfig, account.exportConfig());
  // Its key is a file of the Pod's, and the program of a test has one of its own.
  const given = Object.entries(chartEnvironment(find(objects, 'Deployment', name))).filter(
    (entry): entry is [string, string] =>
      typeof entry[1] === 'string' && entry[0] !== 'TERMINALS_API_KEY_FILE',
  );
  const replica = async (data: string) => {
    const program = await serve({
      ...Object.fromEntries(given),
      TERMINALS_PORT: '0',
      TERMINALS_KUBERNETES_KUBECONFIG: kubeconfig,
      TERMINALS_KUBERNETES_NODE_SELECTOR: 'terminals-test=nowhere',
      TERMINALS_DATA_DIR: path.join(folder, data),
      ...more,
    });
    programs.push(program);
    return program;
  };
  return { account, replica };
}

test('a commit that one replica was told of is in force at all of them', {
  skip,
  timeout: 120_000,
}, async (t) => {
  const cluster = await openCluster(t);
  const repository = new Repository();
  repository.commit({ 'team.yaml': policy('open-terminal:1') });
  const { replica } = await chartOn(t, cluster, {
    TERMINALS_POLICIES_CONFIGMAP: '',
    TERMINALS_POLICIES_GIT: repository.url,
    TERMINALS_POLICIES_GIT_INTERVAL: '0',
  });
  const [first, second] = [await replica('a'), await replica('b')];
  const commit = repository.commit({ 'team.yaml': policy('open-terminal:2') });
  await admin(first, 'POST', '/reconcile');
  for (const program of [first, second]) {
    const source = async () => Object(await admin(program, 'GET', '/status')).policies?.source;
    await until(
      async () => String(await source()).includes(commit),
      10_000,
      () => commit,
    );
  }
});

test('two orchestrators under the chart’s account are one', { skip, timeout: 240_000 }, async (t) => {
  const cluster = await openCluster(t);
  cluster.operator();
  pretendKubelet(t, cluster, 100);
  const put = (image: string): Promise<ConfigMap> =>
    cluster.apply(configMaps, policiesMap, { data: { 'team.yaml': policy(image) } });
  await put('open-terminal:1');
  const { account, replica } = await chartOn(t, cluster);
  const both = [await replica('a'), await replica('b')];
  const [first, second] = both;
  assert.ok(first && second);
  for (const [at, program] of both.entries())
    assert.equal(await terminalOf(cluster, program, `user${at}`), 'open-terminal:1');

  await t.test('one of them says on the ConfigMap how its policies are', async () => {
    await until(async () => (await statusOf(cluster)).conditions?.team?.type === 'Ready');
    assert.deepEqual(await eventsOf(cluster), [], 'that all is well is no news');
  });

  await t.test('a bad image stalls, which both know, one says, and a retry at the other ends', async () => {
    await put(missingImage);
    await until(async () => (await statusOf(cluster)).conditions?.team?.type === 'Stalled', 30_000);
    for (const program of both) await until(async () => (await conditionOf(program)) === 'Stalled');
    const failures = async () =>
      (await eventsOf(cluster)).filter((event) => event.startsWith('RolloutFailed'));
    await until(async () => (await failures()).length > 0);
    const said = await failures();
    assert.equal(said.length, 1, said.join('\n'));
    assert.match(said[0] ?? '', /policy team is Stalled: terminals-team-user\d: /);
    assert.equal(await terminalOf(cluster, second, 'user2'), 'open-terminal:1');

    const holder = (await cluster.get(leases, name))?.spec?.holderIdentity;
    assert.ok(holder);
    const trial = async () => JSON.parse((await cluster.get(configMaps, name))?.data?.team ?? '{}').trial;
    const before = (await trial()).stalled.since;
    // Whichever of them leads, one of the two calls is made at the other.
    for (const program of both) await admin(program, 'POST', '/policies/team/retry');
    await until(async () => ((await trial())?.stalled?.since ?? 0) > before, 30_000);
  });

  await t.test('a good one is Ready again', async () => {
    await put('open-terminal:2');
    const images = async () =>
      Promise.all(
        [0, 1, 2].map(async (at) => (await cluster.get(terminals, `terminals-team-user${at}`))?.spec.image),
      );
    await until(async () => (await images()).every((image) => image === 'open-terminal:2'), 30_000);
    await until(async () => (await statusOf(cluster)).conditions?.team?.type === 'Ready', 30_000);
    const ready = (event: string) => event.includes('policy team is Ready');
    await until(async () => (await eventsOf(cluster)).some(ready));
  });

  await t.test('an annotation on the ConfigMap has all looked at, and is answered on it', async () => {
    for (const value of ['2030-01-01T00:00:00Z', 'again']) {
      await cluster.patch(configMaps, policiesMap, {
        metadata: { annotations: { [requestAnnotation]: value } },
      });
      await until(async () => (await statusOf(cluster)).lastHandledReconcileAt === value, 5_000);
    }
  });

  await t.test('when one ends the other goes on, and says nothing twice', async () => {
    const before = await eventsOf(cluster);
    const holder = async () => (await cluster.get(leases, name))?.spec?.holderIdentity ?? '';
    const was = await holder();
    await first.stop();
    await until(
      async () => (await holder()) !== '' && ((await holder()) !== was || /leading/.test(second.log())),
    );
    await put('open-terminal:3');
    await until(
      async () => (await cluster.get(terminals, 'terminals-team-user0'))?.spec.image === 'open-terminal:3',
      30_000,
    );
    await until(async () => (await statusOf(cluster)).conditions?.team?.type === 'Ready', 30_000);
    const news = (await eventsOf(cluster)).filter((event) => !before.includes(event));
    assert.ok(news.length <= 2, news.join('\n'));
  });

  await t.test('nothing that it did was forbidden, and what it need not do is', async () => {
    for (const program of both) assert.doesNotMatch(program.log(), /forbidden|"status":403/i);
    const client = new KubeClient(account);
    t.after(() => client.close());
    const { namespace } = cluster;
    const metadata = { name: 'theirs', namespace };
    const manager = 'terminals-test';
    const map = { apiVersion: 'v1', kind: 'ConfigMap', metadata };
    const lease = { apiVersion: leases.apiVersion, kind: leases.kind, metadata };
    await cluster.apply(leases, 'theirs', {});
    for (const work of [
      () => client.apply(configMaps, map, { manager, force: true }),
      () => client.create(configMaps, map, manager),
      () => client.get(configMaps, namespace, 'theirs'),
      () => client.get(leases, namespace, 'theirs'),
      () => client.request('PUT', pathOf(leases, namespace, 'theirs'), { body: lease }),
      () => client.delete(configMaps, namespace, name, undefined),
    ])
      assert.equal((await refusal(work())).status, 403, String(work));
  });
});
