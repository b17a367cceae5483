import assert from 'node:assert/strict';
import { readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { gate, harness, keyOf, MemoryPolicies, patient, policyOf, turns, until } from './harness.ts';

const alice = keyOf('alice');
/** 120 ms in minutes. */
const shortly = 0.002;
const sleepy = (idleTimeoutMinutes = shortly) => new MemoryPolicies(policyOf({ idleTimeoutMinutes }));

test('one that nobody uses is stopped by its deadline, and started again when asked for', async (t) => {
  const { backend, reconciler } = await harness(t, { policies: sleepy() });
  await reconciler.reach(alice, patient);
  await until(() => backend.actual(alice)?.phase === 'Idle', 'it is stopped');
  await until(() => [...reconciler.entries][0]?.actual?.phase === 'Idle', 'and that is known');
  const { terminal } = await reconciler.reach(alice, patient);
  assert.equal(terminal.phase, 'Running');
  assert.deepEqual(backend.changes, ['create', 'stop', 'start']);
});

test('every proxied byte puts the stop off', async (t) => {
  // A second, since a busy machine may let no byte through for a while.
  const { backend, reconciler } = await harness(t, { policies: sleepy(1 / 60) });
  const { use } = await reconciler.reach(alice, patient);
  const typing = setInterval(() => use.touch(), 20);
  await new Promise((resolve) => setTimeout(resolve, 2_000));
  clearInterval(typing);
  assert.equal(backend.count('stop'), 0);
  await until(() => backend.count('stop') === 1, 'it is stopped afterwards');
});

test('one with a request under way is not stopped, however silent it is', async (t) => {
  const { backend, reconciler } = await harness(t, { policies: sleepy() });
  const { use } = await reconciler.reach(alice, patient);
  use.begin();
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal(backend.count('stop'), 0);
  use.end();
  await until(() => backend.count('stop') === 1, 'it is stopped afterwards');
});

test('one that is asked for while it is being stopped is started again for who asks', async (t) => {
  const { backend, reconciler } = await harness(t, { policies: sleepy() });
  await reconciler.reach(alice, patient);
  const held = gate();
  backend.inject('stop', { before: () => held.passed });
  await until(() => backend.count('stop') === 1, 'the stop began');
  const reaching = reconciler.reach(alice, patient);
  assert.ok(reaching instanceof Promise, 'nobody is sent to one that is being stopped');
  held.open();
  const { terminal } = await reaching;
  assert.equal(terminal.phase, 'Running');
  assert.deepEqual(backend.changes, ['create', 'stop', 'start']);
});

test('a stop tells those who hold connections to it', async (t) => {
  const { reconciler } = await harness(t, { policies: sleepy() });
  const gone: string[] = [];
  reconciler.onGone(({ name }) => gone.push(name));
  const { terminal } = await reconciler.reach(alice, patient);
  await until(() => gone.length > 0, 'it is told');
  await turns();
  assert.deepEqual(gone, [terminal.name]);
});

test('a restart of Terminals does not make it forget since when a terminal is unused', async (t) => {
  const before = await harness(t, { policies: new MemoryPolicies(policyOf({ idleTimeoutMinutes: 60 })) });
  await before.reconciler.reach(alice, patient);
  await before.reconciler.close();
  // Two hours go by: the same file, read by a process of that time.
  const folder = `${before.dataDir}/.terminals`;
  assert.deepEqual(await readdir(folder), ['activity.json', 'good-revisions.json']);
  const saved: Record<string, number> = JSON.parse(await readFile(`${folder}/activity.json`, 'utf8'));
  const past = Object.fromEntries(Object.entries(saved).map(([name, at]) => [name, at - 2 * 3_600_000]));
  await writeFile(`${folder}/activity.json`, JSON.stringify(past));
  await utimes(`${folder}/activity.json`, Date.now() / 1000, Date.now() / 1000);
  await harness(t, { backend: before.backend, policies: before.policies, dataDir: before.dataDir });
  await until(() => before.backend.actual(alice)?.phase === 'Idle', 'it is stopped');
});
