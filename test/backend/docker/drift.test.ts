/** What somebody changes by hand on real Docker: found, reported, and put right by the rule of its policy. */
import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { StartFailedError } from '../../../src/errors.ts';
import type { PolicySpec } from '../../../src/policy/policy.ts';
import { ActivityStore } from '../../../src/reconcile/activity-store.ts';
import type { Drift } from '../../../src/reconcile/drift.ts';
import { Reconciler } from '../../../src/reconcile/reconciler.ts';
import { Templates } from '../../../src/reconcile/templates.ts';
import { withoutDocker } from '../../engines.ts';
import { capturedLog, MemoryPolicies, patient, policyOf, until } from '../../reconcile/harness.ts';
import {
  docker,
  execute,
  holdMemory,
  networkFor,
  openTerminal,
  placeFor,
  removeContainer,
} from './engine.ts';
import { type EngineProxy, proxyFor } from './engine-proxy.ts';

const mebibyte = 1024 ** 2;

interface Setting {
  readonly spec?: Partial<PolicySpec>;
  readonly networks?: readonly string[];
  /** Between the backend and the engine. */
  readonly proxy?: EngineProxy;
  readonly resyncMs?: number;
}

async function setting(t: TestContext, { spec = {}, networks = [], proxy, resyncMs }: Setting = {}) {
  const place = await placeFor(t);
  const backend = place.backend({ networks, ...(proxy ? { docker: proxy.client } : {}) });
  const { log, lines } = await capturedLog();
  const base = policyOf({}, place.policy).spec;
  const limits = { cpu: '500m', memory: '256Mi', pids: 200 };
  const policy = policyOf(
    { image: openTerminal, resources: { ...base.resources, limits }, ...spec },
    place.policy,
  );
  const drifts: Drift[] = [];
  const policies = new MemoryPolicies(policy);
  const reconciler = new Reconciler({
    backend,
    policies,
    templates: new Templates(backend.platform),
    activity: new ActivityStore(place.dataDir, log),
    log,
    // Other tests have terminals on the same engine.
    drifted: ({ key }, drift) => {
      if (key.policy === place.policy) drifts.push(drift);
    },
    ...(resyncMs === undefined ? {} : { resyncMs }),
  });
  await reconciler.start();
  t.after(() => reconciler.close());
  const reach = async () => (await reconciler.reach(place.key('alice'), patient)).terminal;
  const memory = async (name: string) => (await docker.getContainer(name).inspect()).HostConfig.Memory;
  const logged = () =>
    lines
      .filter(({ msg, policy: its }) => msg === 'drift' && its === place.policy)
      .map(({ terminal, kind }) => [terminal, kind]);
  const lower = (to: string) => {
    const resources = { ...base.resources, limits: { ...limits, memory: to } };
    policies.edit({ ...policy, spec: { ...policy.spec, resources } });
  };
  return { place, reconciler, reach, memory, lower, drifts, lines, logged };
}

async function poll(condition: () => Promise<boolean>, what: string, timeoutMs = 10_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!(await condition().catch(() => false))) {
    assert.ok(performance.now() < end, `never came true: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Otherwise what was cut off is back before anything else can be done with it. */
const refusesNetworks: EngineProxy['meets'] = (request) =>
  request.startsWith('POST /networks/') ? { kind: 'refuse' } : null;

describe('drift on Docker', { skip: await withoutDocker() }, () => {
  test('a limit changed by `docker update` is reported, and put right at once in the running container', async (t) => {
    const { reach, memory, drifts, logged } = await setting(t);
    const { name, startedAt } = await reach();
    await docker.getContainer(name).update({ Memory: 128 * mebibyte, MemorySwap: 128 * mebibyte });
    await until(() => drifts.length > 0, 'the drift is found');
    assert.deepEqual(drifts, [
      { kind: 'limits', changes: [{ field: 'resources.limits.memory', from: '128Mi', to: '256Mi' }] },
    ]);
    assert.deepEqual(logged(), [[name, 'limits']]);
    await poll(async () => (await memory(name)) === 256 * mebibyte, 'the limit is as declared');
    assert.equal((await reach()).startedAt, startedAt, 'it was not restarted');
    assert.equal(drifts.length, 1, 'our own work is no drift');
  });

  test('a memory limit that waits for less to be in use is tried again now and then, not as fast as the engine answers', async (t) => {
    const proxy = await proxyFor(t);
    const { reach, memory, lower, lines } = await setting(t, { proxy });
    const terminal = await reach();
    const pid = await holdMemory(terminal, 160);
    lower('96Mi');
    const failed = () => lines.filter(({ msg }) => msg === 'reconcile failed').length;
    await until(() => failed() > 0, 'it was tried', 20_000);
    await until(() => failed() > 2, 'it was tried again', 20_000);
    const updates = proxy.requests.filter((request) => /^POST .*\/update /.test(request));
    assert.equal(updates.length, 0, 'what is set already was set again, which the engine tells of');
    assert.equal(await memory(terminal.name), 256 * mebibyte);
    await execute(terminal, `kill ${pid}`);
    await poll(async () => (await memory(terminal.name)) === 96 * mebibyte, 'it is lowered', 60_000);
  });

  test('what was changed while events were lost is found by the next resync', async (t) => {
    const proxy = await proxyFor(t);
    const { reach, memory, drifts } = await setting(t, { proxy, resyncMs: 300 });
    const { name } = await reach();
    proxy.passes = (request, answer) => (request.startsWith('GET /events') ? Buffer.alloc(0) : answer);
    await docker.getContainer(name).update({ PidsLimit: 55 });
    await until(() => drifts.length > 0, 'the drift is found', 10_000);
    assert.equal(drifts[0]?.kind, 'limits');
    const pids = async () => (await docker.getContainer(name).inspect()).HostConfig.PidsLimit;
    await poll(async () => (await pids()) === 200, 'the limit is as declared');
    assert.equal(await memory(name), 256 * mebibyte);
  });

  test('one cut from its network is reported, and put back at once with what runs in it', async (t) => {
    const network = await networkFor(t);
    const { reach, drifts, logged } = await setting(t, { networks: [network] });
    const first = await reach();
    const inspect = () => docker.getContainer(first.name).inspect();
    const { Id: id } = await inspect();
    await execute(first, 'sleep 1234 >/dev/null 2>&1 &');
    await docker.getNetwork(network).disconnect({ Container: first.name });
    await until(() => drifts.length > 0, 'the drift is found');
    assert.deepEqual(drifts, [{ kind: 'network', changes: [{ field: 'network', from: null, to: network }] }]);
    assert.deepEqual(logged(), [[first.name, 'network']]);
    await poll(async () => network in (await inspect()).NetworkSettings.Networks, 'it is in its network');
    const again = await reach();
    assert.equal((await inspect()).Id, id);
    assert.match(await execute(again, 'cat /proc/[0-9]*/cmdline | tr "\\0" " "'), /sleep 1234/);
    assert.equal(drifts.length, 1, 'our own work is no drift');
  });

  test('one cut from its network while another is left is put back, too', async (t) => {
    const [network, other] = [await networkFor(t), await networkFor(t)];
    const { reach, drifts, reconciler } = await setting(t, { networks: [network] });
    const { name, startedAt } = await reach();
    await docker.getNetwork(other).connect({ Container: name });
    await docker.getNetwork(network).disconnect({ Container: name, Force: true });
    await until(() => drifts.some(({ kind }) => kind === 'network'), 'the drift is found');
    const there = () => [...reconciler.entries].find((each) => each.name === name)?.actual;
    await until(() => there()?.phase === 'Running' && there()?.astray === undefined, 'it is as declared');
    const { NetworkSettings } = await docker.getContainer(name).inspect();
    assert.ok(network in NetworkSettings.Networks);
    assert.equal((await reach()).startedAt, startedAt);
    await docker.getNetwork(other).disconnect({ Container: name, Force: true });
  });

  test('one whose network is gone is not ended for that: requests say what is to be done', async (t) => {
    const network = await networkFor(t);
    const proxy = await proxyFor(t);
    const { reach, drifts } = await setting(t, { networks: [network], proxy });
    const { name, startedAt } = await reach();
    proxy.meets = refusesNetworks;
    await docker.getNetwork(network).disconnect({ Container: name });
    await docker.getNetwork(network).remove();
    await until(() => drifts.length > 0, 'the drift is found');
    proxy.meets = () => null;
    await assert.rejects(reach, (error: unknown) => {
      assert.ok(error instanceof StartFailedError);
      assert.equal(error.message, `There is no Docker network "${network}".`);
      assert.match(error.hint, new RegExp(`docker network create ${network}`));
      return true;
    });
    await docker.createNetwork({ Name: network });
    assert.equal((await reach()).startedAt, startedAt);
  });

  test('one that was cut and stopped starts with its network again', async (t) => {
    const network = await networkFor(t);
    const proxy = await proxyFor(t);
    const { reach, reconciler } = await setting(t, { networks: [network], proxy });
    const { name } = await reach();
    proxy.meets = refusesNetworks;
    await docker.getNetwork(network).disconnect({ Container: name });
    await docker.getContainer(name).stop({ t: 1 });
    const there = () => [...reconciler.entries].find((each) => each.name === name)?.actual;
    await until(() => there()?.phase === 'Idle', 'it is seen');
    proxy.meets = () => null;
    assert.equal(await execute(await reach(), 'echo here'), 'here');
  });

  test('one that is asked for while it is cut off is put back for that', async (t) => {
    const network = await networkFor(t);
    const { reach, drifts } = await setting(t, { networks: [network] });
    const first = await reach();
    await docker.getNetwork(network).disconnect({ Container: first.name });
    await until(() => drifts.length > 0, 'the drift is found');
    const again = await reach();
    assert.equal(again.startedAt, first.startedAt);
    assert.equal(await execute(again, 'echo here'), 'here');
  });

  test('one that was removed is reported, and the next request makes it anew with its files', async (t) => {
    const { reach, drifts, logged } = await setting(t);
    const first = await reach();
    await execute(first, 'echo kept > ~/note');
    await removeContainer(first.name);
    await until(() => drifts.length > 0, 'the drift is found');
    assert.deepEqual(drifts, [{ kind: 'removed', changes: [] }]);
    assert.deepEqual(logged(), [[first.name, 'removed']]);
    assert.equal(await execute(await reach(), 'cat ~/note'), 'kept');
    assert.equal(drifts.length, 1);
  });

  test('starting, stopping and removing by Terminals itself is no drift', async (t) => {
    const { place, reach, reconciler, drifts } = await setting(t);
    const { name } = await reach();
    await reconciler.order({ kind: 'stop', reason: 'test' }, name);
    await reach();
    await reconciler.order({ kind: 'refresh', reason: 'test' }, name);
    await reach();
    await reconciler.resync();
    assert.deepEqual(drifts, []);
    assert.equal(place.key('alice').user, 'alice');
  });
});
