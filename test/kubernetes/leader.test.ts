import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { leases, runAsLeader } from '../../src/kubernetes/leader.ts';
import { withoutCluster } from '../engines.ts';
import { type Cluster, openCluster, quiet, until } from '../operator/cluster.ts';

const skip = await withoutCluster();

interface Candidate {
  leads: boolean;
  /** Ends it in order: the Lease is given back. */
  stop(): Promise<void>;
  /** It no longer reaches the API server. */
  unplug(): void;
}

const times = { leaseMs: 10_000, renewWithinMs: 8_000, retryMs: 200 };

function candidate(t: TestContext, cluster: Cluster, identity: string): Candidate {
  const stopping = new AbortController();
  let plugged = true;
  const guarded = <A extends unknown[], R>(work: (...args: A) => Promise<R>) => {
    return async (...args: A): Promise<R> => {
      if (!plugged) throw new Error('unplugged');
      return work(...args);
    };
  };
  const { client } = cluster;
  const self: Candidate = {
    leads: false,
    async stop() {
      stopping.abort();
      await ended;
    },
    unplug() {
      plugged = false;
    },
  };
  const ended = runAsLeader(
    {
      client: {
        get: (...args) => guarded(() => client.get(...args))(),
        create: (...args) => guarded(() => client.create(...args))(),
        request: (...args) => guarded(() => client.request(...args))() as never,
      },
      ...{ namespace: cluster.namespace, name: 'test', identity, log: quiet, ...times },
    },
    async (leading) => {
      self.leads = true;
      await new Promise<void>((resolve) =>
        leading.addEventListener('abort', () => resolve(), { once: true }),
      );
      self.leads = false;
    },
    stopping.signal,
  );
  t.after(() => self.stop());
  return self;
}

test('of two one leads; when it stops, the other takes over at once', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const [a, b] = [candidate(t, cluster, 'a'), candidate(t, cluster, 'b')];
  await until(() => a.leads || b.leads);
  const [leader, other] = a.leads ? [a, b] : [b, a];
  assert.equal(other.leads, false);
  await leader.stop();
  const startedAt = Date.now();
  await until(() => other.leads);
  assert.ok(
    Date.now() - startedAt < times.leaseMs,
    'the Lease was given back, nobody waited for it to run out',
  );
});

test('a leader that loses the API server stops before another begins', { skip }, async (t) => {
  const cluster = await openCluster(t);
  const a = candidate(t, cluster, 'a');
  await until(() => a.leads);
  const b = candidate(t, cluster, 'b');
  a.unplug();
  let both = false;
  await until(() => {
    both ||= a.leads && b.leads;
    return b.leads;
  }, 30_000);
  assert.equal(both, false);
  const lease = await cluster.get(leases, 'test');
  assert.equal(lease?.spec?.holderIdentity, 'b');
  assert.equal(lease?.spec?.leaseTransitions, 1);
});
