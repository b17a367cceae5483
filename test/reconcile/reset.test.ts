import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import type { PolicySpec } from '../../src/policy/policy.ts';
import { terminalName } from '../../src/terminal/names.ts';
import { steady } from '../terminal/fixtures.ts';
import {
  gate,
  type Harness,
  harness,
  keyOf,
  MemoryPolicies,
  patient,
  policyOf,
  temporaryFolder,
  turns,
  until,
} from './harness.ts';
import { MemoryBackend } from './memory-backend.ts';

const alice = keyOf('alice');
const bob = keyOf('bob');
const chat = keyOf('alice', 'default', 'chat:1');
const atOnce = { rollout: { ...steady, when: 'idle', idleAfterMinutes: 0 } } as const;

/** A policy that resets at this moment. */
function once(at: number, changes: Partial<PolicySpec> = {}) {
  const schedule = `${new Date(at).toISOString().slice(0, 19)}Z`;
  return policyOf({ ...atOnce, reset: { schedule, timezone: 'UTC', keep: ['notes'] }, ...changes });
}

/** A policy that resets in a moment; the schedule knows whole seconds. */
function soon(changes: Partial<PolicySpec> = {}) {
  return once(Date.now() + 1_500, changes);
}

/** A data directory that knows these terminals since long ago, and the policy too. */
async function knownSince(
  policy: ReturnType<typeof once>,
  ...keys: readonly (typeof alice)[]
): Promise<string> {
  const dataDir = await temporaryFolder();
  await mkdir(path.join(dataDir, '.terminals'));
  const terminals = Object.fromEntries(keys.map((key) => [terminalName(key), 1_000]));
  const saved = { default: { ...policy.spec.reset, since: 1_000, terminals } };
  await writeFile(path.join(dataDir, '.terminals', 'resets.json'), JSON.stringify(saved));
  return dataDir;
}

const missed = () => once(Date.now() - 3_600_000);

async function remembered(dataDir: string): Promise<Record<string, number>> {
  // It is written a moment after what it tells of.
  const text = await readFile(path.join(dataDir, '.terminals', 'resets.json'), 'utf8').catch(() => '{}');
  return JSON.parse(text).default?.terminals ?? {};
}

const resetsIn = ({ lines }: Harness) => lines.filter(({ action }) => action === 'reset');

test('at its moment every terminal is reset, running or stopped, of every user and context, and only once', async (t) => {
  const all = await harness(t);
  const { backend, reconciler, policies } = all;
  for (const key of [alice, bob, chat]) await reconciler.reach(key, patient);
  await reconciler.order({ kind: 'stop', reason: 'a test' }, terminalName(bob));
  policies.edit(soon());
  await until(() => backend.count('reset') === 3, 'all are reset');
  await until(
    () => backend.homes.size === 0 && [alice, bob, chat].every((key) => !backend.actual(key)),
    'gone',
  );
  assert.equal(resetsIn(all).length, 3);
  assert.match(String(resetsIn(all)[0]?.reason), /empties homes on schedule/);

  await reconciler.reach(alice, patient);
  assert.deepEqual([...backend.homes], [terminalName(alice)]);
  policies.edit(policies.current.policies.get(alice.policy) ?? policyOf());
  await turns();
  assert.equal(backend.count('reset'), 3);
});

test('one in use waits until it is not', async (t) => {
  const { backend, reconciler, policies } = await harness(t);
  const { use } = await reconciler.reach(alice, patient);
  await reconciler.reach(bob, patient);
  use.begin();
  policies.edit(soon());
  await until(() => backend.count('reset') === 1, 'the other is reset');
  await turns();
  assert.equal(backend.actual(alice)?.phase, 'Running');
  use.end();
  await until(() => backend.count('reset') === 2, 'it is reset');
});

test('what was missed while nothing ran happens once after a start', async (t) => {
  const policy = missed();
  const backend = new MemoryBackend();
  const before = await harness(t, { backend });
  await before.reconciler.reach(alice, patient);
  await before.reconciler.reach(bob, patient);
  await before.reconciler.close();

  const dataDir = await knownSince(policy, alice);
  const first = await harness(t, { backend, dataDir, policies: new MemoryPolicies(policy) });
  await until(() => backend.count('reset') === 1, 'alice’s is reset');
  await turns();
  assert.equal(backend.actual(bob)?.phase, 'Running', 'one that is new to it is not');
  await first.reconciler.reach(alice, patient);
  await first.reconciler.close();

  const second = await harness(t, { backend, dataDir, policies: new MemoryPolicies(policy) });
  await until(() => second.reconciler.synced, 'it has looked');
  await turns();
  assert.equal(backend.count('reset'), 1);
});

test('without what was remembered nothing is reset that was not due since the start', async (t) => {
  const backend = new MemoryBackend();
  const before = await harness(t, { backend });
  await before.reconciler.reach(alice, patient);
  await before.reconciler.close();
  const { reconciler } = await harness(t, { backend, policies: new MemoryPolicies(missed()) });
  await until(() => reconciler.synced, 'it has looked');
  await turns();
  assert.equal(backend.count('reset'), 0);
});

test('a home without a container is emptied before its next request gets one', async (t) => {
  const policy = missed();
  const dataDir = await knownSince(policy, alice);
  const { backend, reconciler } = await harness(t, { dataDir, policies: new MemoryPolicies(policy) });
  backend.homes.add(terminalName(alice));
  await reconciler.reach(alice, patient);
  assert.deepEqual(backend.changes, ['reset', 'create']);
  await reconciler.close();
  const since = (await remembered(dataDir))[terminalName(alice)] ?? 0;
  assert.ok(Date.now() - since < 60_000, 'it counts from now');
});

test('who asks for a stopped one that is due waits, and gets an empty home', async (t) => {
  const policy = missed();
  const backend = new MemoryBackend();
  const before = await harness(t, { backend });
  await before.reconciler.reach(alice, patient);
  await before.reconciler.order({ kind: 'stop', reason: 'a test' }, terminalName(alice));
  await before.reconciler.close();
  const wiping = gate();
  backend.inject('reset', { before: () => wiping.passed });
  const dataDir = await knownSince(policy, alice);
  const { reconciler } = await harness(t, { backend, dataDir, policies: new MemoryPolicies(policy) });
  await until(() => backend.count('reset') === 1, 'it is being reset');
  const reached = reconciler.reach(alice, patient);
  await turns();
  assert.equal(backend.count('create'), 1, 'of before');
  wiping.open();
  assert.equal((await reached).terminal.phase, 'Running');
  assert.equal(backend.count('create'), 2);
});

test('one that fails is tried again, and nobody gets what is left meanwhile', async (t) => {
  const policy = missed();
  const dataDir = await knownSince(policy, alice);
  const backend = new MemoryBackend();
  const { reconciler } = await harness(t, { backend, dataDir, policies: new MemoryPolicies(policy) });
  const fail = () => {
    throw new Error('a disk');
  };
  backend.inject('reset', { before: fail });
  await assert.rejects(async () => reconciler.reach(alice, patient), /a disk/);
  assert.equal(backend.count('create'), 0);
  await reconciler.reach(alice, patient);
  assert.deepEqual(backend.changes, ['reset', 'reset', 'create']);
});

test('terminals of a suspended policy are left alone until it goes on', async (t) => {
  const policy = missed();
  const backend = new MemoryBackend();
  const before = await harness(t, { backend });
  await before.reconciler.reach(alice, patient);
  await before.reconciler.close();
  const policies = new MemoryPolicies({ ...policy, spec: { ...policy.spec, suspend: true } });
  const { reconciler } = await harness(t, { backend, dataDir: await knownSince(policy, alice), policies });
  await until(() => reconciler.synced, 'it has looked');
  await turns();
  assert.equal(backend.count('reset'), 0);
  policies.edit(policy);
  await until(() => backend.count('reset') === 1, 'it is made up for');
});

test('a terminal that was deleted and made again is new', async (t) => {
  const policies = new MemoryPolicies(once(Date.now() + 3_600_000));
  const { backend, reconciler, dataDir } = await harness(t, { policies });
  await reconciler.reach(alice, patient);
  const before = (await remembered(dataDir))[terminalName(alice)] ?? 0;
  await reconciler.order({ kind: 'delete', reason: 'a test' }, terminalName(alice));
  assert.deepEqual(await remembered(dataDir), {});
  await until(() => Date.now() > before, 'the clock goes on');
  await reconciler.reach(alice, patient);
  await until(() => backend.homes.size === 1, 'it is there');
  await reconciler.close();
  assert.ok(((await remembered(dataDir))[terminalName(alice)] ?? 0) > before);
});

test('a backend that empties no homes is asked for nothing, which is said', async (t) => {
  const backend = new MemoryBackend();
  Object.defineProperty(backend, 'reset', { value: undefined });
  const policy = missed();
  const dataDir = await knownSince(once(Date.now() - 7_200_000), alice);
  const { reconciler, lines } = await harness(t, {
    backend,
    dataDir,
    policies: new MemoryPolicies(policy),
  });
  await reconciler.reach(alice, patient);
  assert.deepEqual(backend.changes, ['create']);
  assert.ok(lines.some(({ msg }) => /empties no homes/.test(String(msg))));
});
