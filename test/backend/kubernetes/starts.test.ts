/** What a start makes of a Terminal whose policy has become another since: nothing, while somebody works in its Pod. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { StartTimeoutError } from '../../../src/errors.ts';
import { terminals } from '../../../src/operator/terminal-resource.ts';
import type { Policy } from '../../../src/policy/policy.ts';
import { Reconciler } from '../../../src/reconcile/reconciler.ts';
import { Templates } from '../../../src/reconcile/templates.ts';
import { withoutCluster } from '../../engines.ts';
import { quiet, until } from '../../operator/cluster.ts';
import { MemoryPolicies, policyOf } from '../../reconcile/harness.ts';
import { keyOf, never, operated, setReady, silent, unreadyImage } from './fixtures.ts';

const skip = await withoutCluster();

/** Seconds: with what a start is given for a node and an image, 5. */
const soon = -20;

async function reconciled(t: TestContext, policy: Policy) {
  const one = await operated(t);
  const { backend } = one;
  const policies = new MemoryPolicies(policy);
  const reconciler = new Reconciler({
    ...{ backend, policies, log: quiet, templates: new Templates(backend.platform) },
    ...{ activity: backend.activity, revisions: backend.revisions },
  });
  t.after(() => reconciler.close());
  await reconciler.start();
  return { ...one, policies, reconciler };
}

test('a terminal that is not ready for a moment keeps its Pod, and its new workload waits', {
  skip,
}, async (t) => {
  const { cluster, policies, reconciler, desired } = await reconciled(t, policyOf());
  const { key, name } = desired('alice');
  const before = await reconciler.reach(key, never);
  const { uid } = (await cluster.pod(name)).metadata;

  await setReady(cluster, name, false);
  await until(() => reconciler.running(key) === null);
  policies.edit(policyOf({ env: { A: 'b' }, idleTimeoutMinutes: 7 }));
  const again = reconciler.reach(key, never);
  await until(async () => (await cluster.get(terminals, name))?.spec.idleTimeoutMinutes === 7);
  assert.deepEqual((await cluster.get(terminals, name))?.spec.env, {});
  await setReady(cluster, name, true);
  const after = await again;
  assert.equal((await cluster.pod(name)).metadata.uid, uid);
  assert.equal(after.terminal.revision, before.terminal.revision);
});

test('one whose Pod came up and was never ready goes back to the last revision that ran', {
  skip,
}, async (t) => {
  const { rollout } = policyOf().spec;
  const changes = { startTimeoutSeconds: soon, rollout: { ...rollout, when: 'now' } } as const;
  const { cluster, policies, reconciler, desired } = await reconciled(t, policyOf(changes));
  const { key, name } = desired('alice');
  const { revision } = (await reconciler.reach(key, never)).terminal;
  const newest = policyOf({ ...changes, image: unreadyImage });
  policies.edit(newest);
  await until(() => reconciler.rollouts.stateOf(newest).failures === 1);
  await until(() => reconciler.running(key)?.terminal.revision === revision);
  assert.equal((await cluster.pod(name)).spec?.containers[0]?.image, 'open-terminal:1');
});

test('a mended policy reaches one whose Pod came up and was never ready', { skip }, async (t) => {
  const unready = policyOf({ startTimeoutSeconds: soon, image: unreadyImage });
  const { policies, reconciler, desired } = await reconciled(t, unready);
  const { key } = desired('alice');
  await assert.rejects(async () => reconciler.reach(key, never), StartTimeoutError);
  policies.edit(policyOf({ startTimeoutSeconds: soon }));
  await reconciler.reach(key, never);
});

test('one that is stopped comes back as its policy is now', { skip }, async (t) => {
  const { cluster, backend, desired } = await operated(t);
  await backend.create(desired('alice'), silent, never);
  await backend.stop(keyOf('alice'), never);
  const wanted = desired('alice', { env: { A: 'b' } });
  assert.equal((await backend.start(wanted, silent, never)).revision, wanted.revision);
  assert.deepEqual((await cluster.get(terminals, wanted.name))?.spec.env, { A: 'b' });
});
