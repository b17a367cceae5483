/** A rollout through the hours of a day, by a clock that a test turns: its window, its longest delay, its canary, its stall. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { StartFailedError } from '../../src/errors.ts';
import type { PolicySpec } from '../../src/policy/policy.ts';
import type { Desired } from '../../src/terminal/terminal.ts';
import { gate, harness, keyOf, MemoryPolicies, patient, policyOf, turns } from './harness.ts';
import { MemoryBackend } from './memory-backend.ts';

const users = ['alice', 'bob', 'carol', 'dave'];
const bad = 'open-terminal:bad';
const stepMs = 30_000;
const at = (text: string) => Date.parse(`2026-03-${text}Z`);

class PickyBackend extends MemoryBackend {
  /** How often a bad image was tried. */
  tried = 0;

  override async create(desired: Desired, progress: (detail: string) => void) {
    if (desired.workload.image !== bad) return super.create(desired, progress);
    this.tried += 1;
    await turns(1);
    throw new StartFailedError('It ended at once.', 'Look at its log.', { lastLines: ['no such module'] });
  }
}

const declared = (image: string, rollout: Partial<PolicySpec['rollout']> = {}) =>
  policyOf({
    image,
    idleTimeoutMinutes: 0,
    rollout: {
      when: 'idle',
      idleAfterMinutes: 5,
      maxUnavailable: '50%',
      pauseOnFailures: 3,
      window: { schedule: '0 22 * * *', durationMinutes: 60, timezone: 'UTC' },
      ...rollout,
    },
  });

/** At eight in the evening four users have a terminal; the window opens at ten, for an hour. */
async function evening(t: TestContext) {
  t.mock.timers.enable({ apis: ['Date', 'setTimeout', 'setInterval'], now: at('10T20:00:00') });
  const backend = new PickyBackend();
  const made = await harness(t, { backend, policies: new MemoryPolicies(declared('open-terminal:1')) });
  for (const user of users) {
    const reaching = made.reconciler.reach(keyOf(user), patient);
    await turns();
    await reaching;
  }
  /** Turns the clock to that time, and lets everything happen on the way. */
  const until = async (text: string) => {
    while (Date.now() < at(text)) {
      t.mock.timers.tick(Math.min(stepMs, at(text) - Date.now()));
      await turns(4);
    }
    await turns();
  };
  const images = () =>
    Object.fromEntries(users.map((user) => [user, backend.actual(keyOf(user))?.fingerprint?.image]));
  const all = (image: string) => Object.fromEntries(users.map((user) => [user, image]));
  return { ...made, backend, until, images, all };
}

test('idle terminals follow when the window opens, one of them first, and a busy one after its longest delay', async (t) => {
  const { backend, policies, reconciler, until, images, all } = await evening(t);
  const alice = await reconciler.reach(keyOf('alice'), patient);
  alice.use.begin();
  policies.edit(declared('open-terminal:2', { maxDelayMinutes: 150 }));
  await until('10T21:59:59');
  assert.deepEqual(images(), all('open-terminal:1'), 'the window is closed');
  assert.equal(backend.count('remove'), 0);

  const { passed, open } = gate();
  backend.inject('create', { before: () => passed });
  await until('10T22:00:30');
  assert.equal(backend.count('remove'), 1, 'one goes first');
  open();
  await until('10T22:01:00');
  assert.deepEqual(images(), { ...all('open-terminal:2'), alice: 'open-terminal:1' });
  await until('10T22:29:59');
  assert.equal(images().alice, 'open-terminal:1', 'she works');
  await until('10T22:30:00');
  assert.deepEqual(images(), all('open-terminal:2'), 'the longest delay is over, and the window open');
  alice.use.end();
});

test('a longest delay that ends while the window is closed waits for the next one', async (t) => {
  const { policies, reconciler, until, images, all } = await evening(t);
  const alice = await reconciler.reach(keyOf('alice'), patient);
  alice.use.begin();
  policies.edit(declared('open-terminal:2', { maxDelayMinutes: 240 }));
  await until('10T23:30:00');
  const others = { ...all('open-terminal:2'), alice: 'open-terminal:1' };
  assert.deepEqual(images(), others);
  await until('11T21:59:59');
  assert.deepEqual(images(), others);
  await until('11T22:00:00');
  assert.deepEqual(images(), all('open-terminal:2'));
  alice.use.end();
});

test('a bad revision stalls in its window, and the edit that mends it waits for the next window', async (t) => {
  const { backend, policies, reconciler, until, images, all } = await evening(t);
  const broken = declared(bad);
  policies.edit(broken);
  await until('10T21:59:59');
  assert.equal(backend.tried, 0, 'nothing is tried while the window is closed');
  await until('10T22:10:00');
  const { stalled, failures } = reconciler.rollouts.stateOf(broken);
  assert.deepEqual([failures, backend.tried], [3, 3]);
  assert.deepEqual(stalled?.lastLines, ['no such module']);
  const since = stalled?.since ?? 0;
  assert.ok(since >= at('10T22:00:00') && since < at('10T22:02:00'), new Date(since).toISOString());
  assert.deepEqual(images(), all('open-terminal:1'));

  await until('10T23:30:00');
  assert.equal(backend.tried, 3, 'a stalled rollout tries nothing');
  const mended = declared('open-terminal:2');
  policies.edit(mended);
  await until('11T21:59:59');
  assert.equal(reconciler.rollouts.stateOf(mended).stalled, null, 'the edit goes on');
  assert.deepEqual(images(), all('open-terminal:1'));
  await until('11T22:01:00');
  assert.deepEqual(images(), all('open-terminal:2'));
});

test('a stall that an edit ends in the open window goes on at once', async (t) => {
  const { policies, until, images, all } = await evening(t);
  policies.edit(declared(bad));
  await until('10T22:30:00');
  policies.edit(declared('open-terminal:2'));
  await until('10T22:30:30');
  assert.deepEqual(images(), all('open-terminal:2'));
});
