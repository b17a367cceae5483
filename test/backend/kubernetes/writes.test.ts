/** What many Terminals cost the API server: nothing while nothing changes, and one write each when a policy does. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pathOf } from '../../../src/kubernetes/objects.ts';
import { type TerminalResource, terminals } from '../../../src/operator/terminal-resource.ts';
import { Reconciler } from '../../../src/reconcile/reconciler.ts';
import { Templates } from '../../../src/reconcile/templates.ts';
import { withoutCluster } from '../../engines.ts';
import {
  type Cluster,
  openCluster,
  quiet,
  type RecordedWrite,
  recordWrites,
  until,
} from '../../operator/cluster.ts';
import { MemoryPolicies, policyOf } from '../../reconcile/harness.ts';
import { backendOn, keyOf, never, pretendKubelet } from './fixtures.ts';

const skip = await withoutCluster();
const count = 200;
const withinMs = 300_000;

async function listed({ client, namespace }: Cluster): Promise<readonly TerminalResource[]> {
  const path = pathOf(terminals, namespace);
  return (await client.request<{ items: readonly TerminalResource[] }>('GET', path)).items;
}

/** The operator has said of every Terminal that it runs as it is declared now. */
async function settled(cluster: Cluster): Promise<boolean> {
  const all = await listed(cluster);
  const isSettled = ({ metadata, status }: TerminalResource) =>
    status?.phase === 'Running' && status.observedGeneration === metadata.generation;
  return all.length === count && all.every(isSettled);
}

/** How many objects were written so and so often, by whom. */
function tally(writes: readonly RecordedWrite[]): Readonly<Record<string, number>> {
  const times = Map.groupBy(writes, ({ what, by }) => `${by}: ${what}`);
  const kinds = Map.groupBy(
    times,
    ([text, { length }]) => `${text.replace(/\/terminals-[^/]*/, '/*')}, ${length} ×`,
  );
  return Object.fromEntries([...kinds].map(([kind, { length }]) => [kind, length]));
}

test(`${count} Terminals: a resync writes nothing, a policy's edit each spec and each status once`, {
  skip,
}, async (t) => {
  const cluster = await openCluster(t);
  const first = cluster.operator();
  pretendKubelet(t, cluster);
  const { backend } = backendOn(t, cluster);
  // However slow the machine is, nobody gives up.
  const startTimeoutSeconds = 600;
  const policies = new MemoryPolicies(policyOf({ startTimeoutSeconds, idleTimeoutMinutes: 0 }));
  const templates = new Templates(backend.platform);
  const reconciler = new Reconciler({ backend, policies, templates, activity: backend.activity, log: quiet });
  t.after(() => reconciler.close());
  await reconciler.start();
  const users = Array.from({ length: count }, (_, index) => keyOf(`user${index}`));
  await Promise.all(users.map((key) => reconciler.reach(key, never)));
  await until(() => settled(cluster), withinMs);
  await first.stop();

  const writes = recordWrites(t, cluster);
  const second = cluster.operator();
  await second.synced;
  await reconciler.resync();
  await until(() => second.state.leading && second.state.queued === 0 && reconciler.queued === 0, withinMs);
  assert.deepEqual(tally(writes), {}, 'a start from nothing, and a look at everything');

  policies.edit(policyOf({ startTimeoutSeconds, idleTimeoutMinutes: 60 }));
  const edited = async () => (await listed(cluster)).every(({ spec }) => spec.idleTimeoutMinutes === 60);
  await until(edited, withinMs);
  await until(() => settled(cluster), withinMs);
  await reconciler.resync();
  await until(() => second.state.queued === 0 && reconciler.queued === 0);
  // An orchestrator writes a status only to say when a terminal was last used, which goes by the clock.
  const counted = writes.filter(
    ({ what, by }) => !(by === 'terminals-orchestrator' && what.endsWith('/status')),
  );
  assert.deepEqual(tally(counted), {
    'terminals-orchestrator: PATCH terminals/*, 1 ×': count,
    'terminals-operator: PATCH terminals/*/status, 1 ×': count,
  });
});
