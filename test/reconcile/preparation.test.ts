import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import pino from 'pino';
import { EngineUnavailableError } from '../../src/errors.ts';
import { Preparation } from '../../src/reconcile/preparation.ts';
import { renderWorkload } from '../../src/terminal/desired.ts';
import type { Workload } from '../../src/terminal/terminal.ts';
import { MemoryPolicies, policyOf, until } from './harness.ts';

/** A backend that remembers what it prepared and what it was told to keep, by the packages of workloads. */
class Kitchen {
  readonly events: string[] = [];
  prepared: (workload: Workload, signal: AbortSignal) => Promise<void> = async () => undefined;

  async prepare(workload: Workload, _progress: unknown, signal: AbortSignal): Promise<void> {
    this.events.push(`prepare ${workload.pipPackages.join()}`);
    await this.prepared(workload, signal);
  }

  async collect(workloads: readonly Workload[]): Promise<void> {
    this.events.push(`keep ${workloads.map(({ pipPackages }) => pipPackages.join() || '-').join(' ')}`);
  }
}

const withPip = (id: string, ...pipPackages: string[]) => policyOf({ pipPackages }, id);

function prepares(t: TestContext, policies: MemoryPolicies, kitchen = new Kitchen(), lastGood?: Workload) {
  const preparation = new Preparation({
    backend: kitchen,
    policies,
    workloadsOf: ({ spec }) => [renderWorkload(spec), ...(lastGood ? [lastGood] : [])],
    log: pino({ level: 'silent' }),
  });
  t.after(() => preparation.close());
  preparation.start();
  const events = (count: number) =>
    until(() => kitchen.events.length >= count, `${count} events`).then(() => kitchen.events);
  return { kitchen, preparation, events };
}

test('what policies need is made before anybody asks, one after the other, and then the rest is removed', async (t) => {
  const policies = new MemoryPolicies(withPip('a', 'six'), withPip('b'), withPip('c', 'toml'));
  const { events } = prepares(t, policies);
  assert.deepEqual(await events(3), ['prepare six', 'prepare toml', 'keep six - toml']);
});

test('policies with the same workload have it made once', async (t) => {
  const { events } = prepares(t, new MemoryPolicies(withPip('a', 'six'), withPip('b', 'six')));
  assert.deepEqual(await events(2), ['prepare six', 'keep six']);
});

test('a change of policies is followed, also one that comes while something is made', async (t) => {
  const policies = new MemoryPolicies(withPip('a', 'six'), withPip('b', 'toml'));
  const kitchen = new Kitchen();
  kitchen.prepared = async () => {
    if (kitchen.events.length === 1) policies.edit(withPip('a', 'idna'));
  };
  const { events } = prepares(t, policies, kitchen);
  assert.deepEqual(await events(3), ['prepare six', 'prepare idna', 'keep idna']);
  policies.edit(withPip('a', 'idna'), withPip('b', 'toml'));
  assert.deepEqual((await events(6)).slice(3), ['prepare idna', 'prepare toml', 'keep idna toml']);
});

test('the last good workload is kept while the newest is not proven', async (t) => {
  const lastGood = renderWorkload(withPip('a', 'six').spec);
  const { events } = prepares(t, new MemoryPolicies(withPip('a', 'idna')), new Kitchen(), lastGood);
  assert.deepEqual(await events(3), ['prepare idna', 'prepare six', 'keep idna six']);
});

test('what can not be made holds up nothing else', async (t) => {
  const kitchen = new Kitchen();
  kitchen.prepared = async ({ pipPackages }) => {
    if (pipPackages.includes('six')) throw new EngineUnavailableError('down', 'start it');
  };
  const { events } = prepares(t, new MemoryPolicies(withPip('a', 'six'), withPip('b', 'toml')), kitchen);
  assert.deepEqual(await events(3), ['prepare six', 'prepare toml', 'keep six toml']);
});

test('closing ends what is being made, and nothing begins after it', async (t) => {
  const kitchen = new Kitchen();
  kitchen.prepared = (_workload, signal) =>
    new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
  const { events, preparation } = prepares(
    t,
    new MemoryPolicies(withPip('a', 'six'), withPip('b', 'toml')),
    kitchen,
  );
  await events(1);
  await preparation.close();
  assert.deepEqual(kitchen.events, ['prepare six']);
});

test('where a backend makes nothing ahead, nothing is asked of it', async (t) => {
  const events: string[] = [];
  const preparation = new Preparation({
    backend: { prepare: async () => void events.push('prepare') },
    policies: new MemoryPolicies(withPip('a', 'six')),
    workloadsOf: ({ spec }) => [renderWorkload(spec)],
    log: pino({ level: 'silent' }),
  });
  t.after(() => preparation.close());
  preparation.start();
  await preparation.close();
  assert.deepEqual(events, []);
});
