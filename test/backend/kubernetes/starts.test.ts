/** What a start makes of a Terminal whose policy has become another since: nothing, while somebody works in its Pod. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { terminals } from '../../../src/operator/terminal-resource.ts';
import { Reconciler } from '../../../src/reconcile/reconciler.ts';
import { Templates } from '../../../src/reconcile/templates.ts';
import { withoutCluster } from '../../engines.ts';
import { quiet, until } from '../../operator/cluster.ts';
import { MemoryPolicies, policyOf } from '../../reconcile/harness.ts';
import { keyOf, never, operated, setReady, silent } from './fixtures.ts';

const skip = await withoutCluster();

test('a terminal that is not ready for a moment keeps its Pod, and its new workload waits', {
  skip,
}, async (t) => {
  const { cluster, backend, desired } = await operated(t);
  const policies = new MemoryPolicies(policyOf());
  const reconciler = new Reconciler({
    ...{ backend, policies, log: quiet, templates: new Templates(backend.platform) },
    ...{ activity: backend.activity, revisions: backend.revisions },
  });
  t.after(() => reconciler.close());
  await reconciler.start();
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

test('one that is stopped comes back as its policy is now', { skip }, async (t) => {
  const { cluster, backend, desired } = await operated(t);
  await backend.create(desired('alice'), silent, never);
  await backend.stop(keyOf('alice'), never);
  const wanted = desired('alice', { env: { A: 'b' } });
  assert.equal((await backend.start(wanted, silent, never)).revision, wanted.revision);
  assert.deepEqual((await cluster.get(terminals, wanted.name))?.spec.env, { A: 'b' });
});
