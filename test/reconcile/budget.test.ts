/** What the host has room for: never more than that, and who goes for whom. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { OverBudgetError, StartFailedError } from '../../src/errors.ts';
import type { PolicySpec } from '../../src/policy/policy.ts';
import { isNobody, terminalName } from '../../src/terminal/names.ts';
import { steady } from '../terminal/fixtures.ts';
import { gate, harness, keyOf, MemoryPolicies, patient, policyOf, turns, until } from './harness.ts';
import { MemoryBackend } from './memory-backend.ts';

const GiB = 2 ** 30;
/** Idle as soon as nobody uses it. */
const restless = (changes: Partial<PolicySpec> = {}, id = 'default') =>
  policyOf({ rollout: { ...steady, when: 'idle', idleAfterMinutes: 0 }, ...changes }, id);
/** Never idle while a test lasts. */
const busy = (changes: Partial<PolicySpec> = {}, id = 'default') =>
  restless({ rollout: { ...steady, when: 'idle', idleAfterMinutes: 60 }, ...changes }, id);
const memory = (limit: string) => ({
  resources: { requests: { cpu: '100m', memory: '64Mi' }, limits: { cpu: '1', memory: limit, pids: 2048 } },
});

/** Keeps count of what there is at its most. */
class CountingBackend extends MemoryBackend {
  most = 0;
  mostBytes = 0;

  constructor() {
    super();
    this.happened = () => this.look();
  }

  look(): void {
    const there = this.all.filter(({ phase }) => phase !== 'Idle');
    this.most = Math.max(this.most, there.length);
    const bytes = there.reduce((sum, { limits }) => sum + (limits?.memoryBytes ?? 0), 0);
    this.mostBytes = Math.max(this.mostBytes, bytes);
  }
}

async function hostOf(
  t: TestContext,
  terminals: number | null,
  memoryBytes: number | null,
  ...policies: ReturnType<typeof policyOf>[]
) {
  const backend = new CountingBackend();
  return {
    ...(await harness(t, {
      backend,
      policies: new MemoryPolicies(...policies),
      host: { terminals, memoryBytes },
    })),
    backend,
  };
}

const running = (backend: MemoryBackend) =>
  backend.all.filter(({ phase }) => phase === 'Running').map(({ key }) => key.user);
const nobodys = (backend: MemoryBackend) => running(backend).filter(isNobody).length;

test('above the number of terminals, who comes is told so while all are in use', async (t) => {
  const { backend, reconciler } = await hostOf(t, 2, null, busy());
  await reconciler.reach(keyOf('alice'), patient);
  await reconciler.reach(keyOf('bob'), patient);
  const refused = Promise.resolve(reconciler.reach(keyOf('carol'), patient));
  await assert.rejects(refused, (error: unknown) => {
    assert.ok(error instanceof OverBudgetError);
    assert.equal(error.status, 503);
    assert.match(error.message, /TERMINALS_MAX_TERMINALS, 2\), and none of them is idle/);
    return true;
  });
  assert.deepEqual(running(backend), ['alice', 'bob']);
  assert.equal(backend.count('stop'), 0);
});

test('the one longest idle is stopped for who comes, and kept with its files', async (t) => {
  const { backend, reconciler } = await hostOf(t, 2, null, restless());
  await reconciler.reach(keyOf('alice'), patient);
  await new Promise((resolve) => setTimeout(resolve, 5));
  await reconciler.reach(keyOf('bob'), patient);
  await reconciler.reach(keyOf('carol'), patient);
  assert.deepEqual(running(backend), ['bob', 'carol']);
  assert.equal(backend.actual(keyOf('alice'))?.phase, 'Idle');
  assert.equal(backend.count('remove'), 0);
  assert.equal(backend.most, 2);

  await reconciler.reach(keyOf('alice'), patient);
  assert.deepEqual(running(backend).sort(), ['alice', 'carol']);
});

test('a request under way, and a WebSocket that is open though silent, keep a terminal', async (t) => {
  const { reconciler, backend } = await hostOf(t, 2, null, restless());
  const alice = await reconciler.reach(keyOf('alice'), patient);
  const bob = await reconciler.reach(keyOf('bob'), patient);
  alice.use.begin();
  bob.use.join();
  await assert.rejects(Promise.resolve(reconciler.reach(keyOf('carol'), patient)), OverBudgetError);
  bob.use.part();
  await reconciler.reach(keyOf('carol'), patient);
  assert.deepEqual(running(backend), ['alice', 'carol']);
});

test("a suspended policy's terminals are left as they are", async (t) => {
  const { policies, reconciler } = await hostOf(t, 1, null, restless());
  await reconciler.reach(keyOf('alice'), patient);
  policies.edit(restless({ suspend: true }));
  await assert.rejects(Promise.resolve(reconciler.reach(keyOf('bob'), patient)), OverBudgetError);
});

test('however many come at once, there are never more than the host has room for', async (t) => {
  const { backend, reconciler } = await hostOf(t, 5, null, busy());
  const users = Array.from({ length: 20 }, (_, index) => keyOf(`user${index}`));
  const reached = await Promise.allSettled(users.map((key) => reconciler.reach(key, patient)));
  assert.equal(reached.filter(({ status }) => status === 'fulfilled').length, 5);
  for (const one of reached) {
    if (one.status === 'rejected') assert.ok(one.reason instanceof OverBudgetError, String(one.reason));
  }
  assert.equal(backend.most, 5);
});

test('many at once who push out the idle ones do not overshoot either', async (t) => {
  const { backend, reconciler } = await hostOf(t, 5, null, restless());
  const users = Array.from({ length: 40 }, (_, index) => keyOf(`user${index}`));
  await Promise.allSettled(users.map((key) => reconciler.reach(key, patient)));
  await turns();
  assert.equal(backend.most, 5);
  assert.ok(backend.count('stop') > 0);
});

test('memory counts by the limits of those that run', async (t) => {
  const { backend, reconciler } = await hostOf(
    t,
    null,
    4 * GiB,
    busy(memory('1Gi')),
    restless(memory('1Gi'), 'small'),
    busy(memory('3Gi'), 'large'),
  );
  await reconciler.reach(keyOf('alice', 'small'), patient);
  await reconciler.reach(keyOf('bob', 'small'), patient);
  await reconciler.reach(keyOf('carol', 'large'), patient);
  assert.deepEqual(running(backend), ['bob', 'carol']);
  assert.equal(backend.mostBytes, 4 * GiB);
  await reconciler.reach(keyOf('dave'), patient);
  await assert.rejects(Promise.resolve(reconciler.reach(keyOf('erin'), patient)), (error: unknown) => {
    assert.ok(error instanceof OverBudgetError);
    assert.match(error.message, /TERMINALS_MAX_TOTAL_MEMORY, 4294967296 bytes/);
    return true;
  });
});

test('room is free again when a start fails, or a terminal stops', async (t) => {
  const { backend, reconciler } = await hostOf(t, 1, null, busy());
  const fail = () => {
    throw new StartFailedError('It ended.', 'Look at its log.');
  };
  backend.inject('create', { before: fail });
  await assert.rejects(Promise.resolve(reconciler.reach(keyOf('alice'), patient)), StartFailedError);
  const { terminal } = await reconciler.reach(keyOf('bob'), patient);
  await reconciler.order({ kind: 'stop', reason: 'asked to' }, terminal.name);
  await reconciler.reach(keyOf('carol'), patient);
  assert.equal(backend.most, 1);
});

test('one that can not be stopped leaves no room, and who asked hears why', async (t) => {
  const { backend, reconciler } = await hostOf(t, 1, null, restless());
  await reconciler.reach(keyOf('alice'), patient);
  backend.inject('stop', {
    before: () => {
      throw new StartFailedError('It can not be stopped.', 'Look at it.');
    },
  });
  await assert.rejects(Promise.resolve(reconciler.reach(keyOf('bob'), patient)), /can not be stopped/);
  assert.equal(backend.actual(keyOf('bob')), undefined);
  await reconciler.reach(keyOf('bob'), patient);
  assert.equal(backend.most, 1);
});

test('who comes back while their terminal is being stopped for another waits for room in turn', async (t) => {
  const { backend, reconciler } = await hostOf(t, 1, null, restless());
  await reconciler.reach(keyOf('alice'), patient);
  const held = gate();
  backend.inject('stop', { before: () => held.passed });
  const bob = Promise.resolve(reconciler.reach(keyOf('bob'), patient));
  await until(() => backend.count('stop') === 1, 'alice is being stopped');
  const alice = Promise.resolve(reconciler.reach(keyOf('alice'), patient));
  alice.catch(() => undefined);
  held.open();
  await bob;
  await Promise.allSettled([alice]);
  assert.equal(backend.most, 1);
});

test('one that is broken has its room until another needs it', async (t) => {
  const { backend, reconciler } = await hostOf(t, 1, null, restless());
  const { terminal } = await reconciler.reach(keyOf('alice'), patient);
  await turns();
  backend.outside(keyOf('alice'), {
    ...terminal,
    phase: 'Error',
    detail: 'it does not answer',
    recover: 'replace',
  });
  await turns();
  await reconciler.reach(keyOf('bob'), patient);
  assert.deepEqual(running(backend), ['bob']);
  assert.equal(backend.actual(keyOf('alice'))?.phase, 'Idle');
  assert.equal(backend.most, 1);
});

test('what the engine tells of one that is being stopped for another sends nobody into it', async (t) => {
  const { backend, reconciler } = await hostOf(t, 1, null, restless());
  const { terminal } = await reconciler.reach(keyOf('alice'), patient);
  await turns();
  const held = gate();
  backend.inject('stop', { before: () => held.passed });
  const bob = Promise.resolve(reconciler.reach(keyOf('bob'), patient));
  await until(() => backend.count('stop') === 1, 'alice is being stopped');
  // The signal that ends it, while it still runs.
  backend.outside(keyOf('alice'), terminal);
  await turns();
  const told = reconciler.running(keyOf('alice'));
  await reconciler.resync();
  const listed = reconciler.running(keyOf('alice'));
  held.open();
  await bob;
  await turns();
  assert.deepEqual({ told, listed }, { told: null, listed: null });
  assert.deepEqual(running(backend), ['bob']);
});

test("what is nobody's fills the host up and no further, and goes first", async (t) => {
  const { backend, reconciler } = await hostOf(
    t,
    3,
    null,
    restless(),
    restless({ warm: 3 }, 'warm'),
    restless({ warm: 2 }, 'too'),
  );
  await until(() => nobodys(backend) === 3, 'the host is full');
  await turns();
  await reconciler.reach(keyOf('alice'), patient);
  await turns();
  assert.deepEqual([nobodys(backend), running(backend).length], [2, 3]);
  await reconciler.reach(keyOf('bob', 'warm'), patient);
  await turns();
  await reconciler.reach(keyOf('carol'), patient);
  await turns();
  assert.deepEqual(running(backend).sort(), ['alice', 'bob', 'carol']);
  assert.equal(backend.count('stop'), 0, "no user made room while there was one that is nobody's");
  assert.equal(backend.most, 3);

  await reconciler.order({ kind: 'stop', reason: 'asked to' }, terminalName(keyOf('alice')));
  await until(() => nobodys(backend) === 1, 'what is free is filled again');
  assert.equal(backend.most, 3);
});

test('a full host gives one that is ready to who asks, without anybody going', async (t) => {
  const { backend, reconciler } = await hostOf(t, 2, null, busy({ warm: 2 }));
  await until(() => nobodys(backend) === 2, 'the host is full');
  await turns();
  await reconciler.reach(keyOf('alice'), patient);
  await turns();
  assert.equal(backend.count('remove') + backend.count('stop'), 0);
  assert.deepEqual([nobodys(backend), running(backend).length], [1, 2]);
});

test('one that is being started for nobody gives way as well', async (t) => {
  const backend = new CountingBackend();
  const held = gate();
  backend.inject('create', { before: () => held.passed });
  const policies = new MemoryPolicies(busy(), busy({ warm: 1 }, 'warm'));
  const { reconciler } = await harness(t, { backend, policies, host: { terminals: 1, memoryBytes: null } });
  await until(() => backend.count('create') === 1, 'it is being started');
  const alice = Promise.resolve(reconciler.reach(keyOf('alice'), patient));
  await turns();
  held.open();
  await alice;
  await turns();
  assert.deepEqual(running(backend), ['alice']);
  assert.equal(backend.most, 1);
});

test("where nothing that is nobody's has room, a new revision is tried on a user's terminal as usual", async (t) => {
  const rollout = { ...steady, when: 'now', idleAfterMinutes: 60 } as const;
  const { backend, reconciler, policies } = await hostOf(t, 1, null, restless({ warm: 1, rollout }));
  await until(() => nobodys(backend) === 1, 'one is ready');
  await reconciler.reach(keyOf('alice'), patient);
  policies.edit(restless({ warm: 1, rollout, image: 'open-terminal:2' }));
  await until(
    () => backend.actual(keyOf('alice'))?.fingerprint?.image === 'open-terminal:2',
    'alice has the new one',
  );
  assert.equal(backend.most, 1);
});
