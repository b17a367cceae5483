/** What one process does for another's terminals: the reconciler, its leases, and workers' terminals, joined by channels. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { OverBudgetError, PolicyUnknownError, TerminalPausedError } from '../../src/errors.ts';
import type { Terminals } from '../../src/proxy/terminals.ts';
import { ActivityStore } from '../../src/reconcile/activity-store.ts';
import type { HostLimits } from '../../src/reconcile/budget.ts';
import { Reconciler } from '../../src/reconcile/reconciler.ts';
import { Templates } from '../../src/reconcile/templates.ts';
import type { RunningTerminal } from '../../src/terminal/terminal.ts';
import type { Handlers } from '../../src/workers/channel.ts';
import { LeasedTerminals } from '../../src/workers/leased-terminals.ts';
import { type Holder, Leases } from '../../src/workers/leases.ts';
import type { ToPrimary, ToWorker } from '../../src/workers/protocol.ts';
import {
  capturedLog,
  gate,
  keyOf,
  MemoryPolicies,
  patient,
  policyOf,
  temporaryFolder,
  turns,
  until,
} from '../reconcile/harness.ts';
import { MemoryBackend } from '../reconcile/memory-backend.ts';
import { connected, type Delay } from './fixtures.ts';

const alice = keyOf('alice');
/** 120 ms in minutes. */
const shortly = 0.002;

interface Worker {
  readonly terminals: LeasedTerminals;
  /** Runs that it was told are over. */
  readonly gone: RunningTerminal[];
  /** Calls that it made. */
  readonly asked: string[];
  end(): void;
}

async function primary(
  t: TestContext,
  policies = new MemoryPolicies(policyOf()),
  delay?: Delay,
  host?: HostLimits,
) {
  const backend = new MemoryBackend();
  const { log } = await capturedLog();
  const leases = new Leases();
  const activity = new ActivityStore(await temporaryFolder(), log);
  const reconciler = new Reconciler({
    backend,
    policies,
    templates: new Templates({}),
    activity,
    log,
    elsewhere: leases,
    ...(host === undefined ? {} : { host }),
  });
  reconciler.onGone((terminal) => leases.gone(terminal));
  await reconciler.start();
  t.after(() => reconciler.close());
  return { backend, policies, reconciler, leases, worker: () => workerOf(t, reconciler, leases, delay) };
}

function workerOf(t: TestContext, reconciler: Terminals, leases: Leases, delay?: Delay): Worker {
  const asked: string[] = [];
  const gone: RunningTerminal[] = [];
  const toPrimary: Pick<Handlers<ToPrimary>, 'reach' | 'throwIfPaused' | 'suspect' | 'used'> = {
    reach: (key, signal) => {
      asked.push('reach');
      return leases.reach(holder, () => reconciler.reach(key, signal), key);
    },
    throwIfPaused: (key) => reconciler.throwIfPaused(key),
    suspect: (lease) => {
      const seen = leases.suspect(holder, lease);
      if (seen) reconciler.suspect(seen.key, seen.terminal);
    },
    used: (uses) => leases.used(holder, uses),
  };
  type Up = Pick<ToPrimary, keyof typeof toPrimary>;
  type Down = Pick<ToWorker, 'granted' | 'gone' | 'recall'>;
  const [down, up] = connected<Down, Up>(
    toPrimary,
    {
      granted: (grant) => terminals.granted(grant),
      gone: (lease) => terminals.gone(lease),
      recall: (lease) => terminals.recall(lease),
    },
    delay,
  );
  const holder: Holder = {
    granted: (grant) => down.tell('granted', grant),
    gone: (lease) => down.tell('gone', lease),
    recall: (lease) => down.ask('recall', lease),
  };
  const terminals = new LeasedTerminals(up, (terminal) => gone.push(terminal));
  const end = () => {
    down.close(new Error('the worker ended'));
    up.close(new Error('the worker ended'));
    leases.left(holder);
  };
  t.after(() => terminals.close());
  return { terminals, gone, asked, end };
}

/** What the primary knows of a terminal's use. */
function entryOf({ reconciler }: { reconciler: Reconciler }) {
  const [entry] = reconciler.entries;
  assert.ok(entry);
  return entry;
}

test('a terminal is asked for once, and is there at once from then on', async (t) => {
  const { worker } = await primary(t);
  const one = worker();
  const reached = await one.terminals.reach(alice, patient);
  assert.equal(reached.terminal.apiKey, 'key-of-terminals-default-alice');
  assert.equal(one.terminals.running(alice), reached);
  assert.equal(one.terminals.reach(alice, patient), reached);
  assert.deepEqual(one.asked, ['reach']);
});

test('workers that ask at the same time get the same terminal', async (t) => {
  const { worker, backend } = await primary(t);
  const [one, other] = [worker(), worker()];
  const reached = await Promise.all([
    one.terminals.reach(alice, patient),
    one.terminals.reach(alice, patient),
    other.terminals.reach(alice, patient),
  ]);
  assert.deepEqual(new Set(reached.map(({ terminal }) => terminal.startedAt)).size, 1);
  assert.equal(backend.count('create'), 1);
});

test('what a start ends with is thrown in the worker', async (t) => {
  const { worker } = await primary(t);
  const unknown = keyOf('alice', 'nothing');
  await assert.rejects(
    async () => worker().terminals.reach(unknown, patient),
    new PolicyUnknownError('nothing'),
  );
});

test('who goes away waits no longer, in the primary neither', async (t) => {
  const made = await primary(t);
  const held = gate();
  made.backend.inject('create', { before: () => held.passed });
  const one = made.worker();
  const going = new AbortController();
  const reaching = Promise.resolve(one.terminals.reach(alice, going.signal));
  await until(() => made.backend.count('create') === 1, 'it starts');
  assert.equal(entryOf(made).waiters.size, 1);
  going.abort(new Error('gone'));
  await assert.rejects(reaching, /gone/);
  await until(() => entryOf(made).waiters.size === 0, 'nobody waits');
  held.open();
});

test('requests under way in every worker count, until they end or their worker does', async (t) => {
  const made = await primary(t);
  const [one, other] = [made.worker(), made.worker()];
  const first = await one.terminals.reach(alice, patient);
  const second = await other.terminals.reach(alice, patient);
  first.use.begin();
  first.use.begin();
  second.use.begin();
  one.terminals.tellUse();
  other.terminals.tellUse();
  await until(() => entryOf(made).inFlight === 3, 'three are under way');
  first.use.end();
  one.terminals.tellUse();
  await until(() => entryOf(made).inFlight === 2, 'two are');
  other.end();
  assert.equal(entryOf(made).inFlight, 1);
});

test('a run that is over is told, and what is still said of it counts for nothing', async (t) => {
  const made = await primary(t);
  const one = made.worker();
  const { use, terminal } = await one.terminals.reach(alice, patient);
  use.begin();
  one.terminals.tellUse();
  await until(() => entryOf(made).inFlight === 1, 'it is under way');
  use.touch();
  made.backend.outside(alice, undefined);
  // Said before it could know.
  one.terminals.tellUse();
  await until(() => one.gone.length === 1, 'it is told');
  assert.deepEqual(one.gone, [terminal]);
  assert.equal(one.terminals.running(alice), null);
  const again = await one.terminals.reach(alice, patient);
  assert.notEqual(again.terminal.startedAt, terminal.startedAt);
  use.touch();
  use.end();
  one.terminals.tellUse();
  await turns();
  assert.equal(entryOf(made).inFlight, 0);
});

test('one that a worker could not connect to is looked at before any worker is sent there', async (t) => {
  const made = await primary(t);
  const [one, other] = [made.worker(), made.worker()];
  const { terminal } = await one.terminals.reach(alice, patient);
  await other.terminals.reach(alice, patient);
  made.backend.deaf = true;
  made.backend.outside(alice, undefined);
  one.terminals.suspect(alice, terminal);
  assert.equal(one.terminals.running(alice), null);
  await until(() => other.terminals.running(alice) === null, 'the other asks, too');
  made.backend.deaf = false;
  const again = await other.terminals.reach(alice, patient);
  assert.notEqual(again.terminal.startedAt, terminal.startedAt);
  one.terminals.suspect(alice, terminal);
  await turns();
  assert.equal(made.backend.count('create'), 2, 'what is said of an earlier run is past');
});

test('a paused terminal is told by the primary', async (t) => {
  const made = await primary(t);
  const one = made.worker();
  const { terminal } = await one.terminals.reach(alice, patient);
  await one.terminals.throwIfPaused(alice);
  const { key, name, revision, fingerprint, limits, idleTimeoutMs } = terminal;
  const known = { key, name, revision, fingerprint, limits, idleTimeoutMs };
  made.backend.outside(alice, { ...known, phase: 'Error', detail: 'It is paused.', recover: 'by-hand' });
  await until(() => one.gone.length === 1, 'it is gone');
  await assert.rejects(one.terminals.throwIfPaused(alice), TerminalPausedError);
});

test('one that is idle in every worker is stopped, and started again for who comes back', async (t) => {
  const made = await primary(t, new MemoryPolicies(policyOf({ idleTimeoutMinutes: shortly })));
  const one = made.worker();
  await one.terminals.reach(alice, patient);
  await until(() => made.backend.count('stop') === 1, 'it is stopped');
  assert.equal((await one.terminals.reach(alice, patient)).terminal.phase, 'Running');
  assert.deepEqual(made.backend.changes, ['create', 'stop', 'start']);
});

test('a request that the primary has not heard of keeps its terminal from being stopped', async (t) => {
  const made = await primary(t, new MemoryPolicies(policyOf({ idleTimeoutMinutes: shortly })));
  const one = made.worker();
  const { use } = await one.terminals.reach(alice, patient);
  use.begin();
  await until(() => entryOf(made).inFlight === 1, 'its idle time over, the worker is asked');
  await turns(100);
  assert.equal(made.backend.count('stop'), 0);
  use.end();
  await until(() => made.backend.count('stop') === 1, 'it is stopped afterwards');
});

test('a WebSocket in a worker counts, until it parts or its worker ends', async (t) => {
  const made = await primary(t);
  const one = made.worker();
  const { use } = await one.terminals.reach(alice, patient);
  use.join();
  use.join();
  one.terminals.tellUse();
  await until(() => entryOf(made).sockets === 2, 'two are joined');
  use.part();
  one.terminals.tellUse();
  await until(() => entryOf(made).sockets === 1, 'one is');
  one.end();
  assert.equal(entryOf(made).sockets, 0);
});

test('no terminal makes room for another under a request that the primary has not heard of', async (t) => {
  const rollout = { ...policyOf().spec.rollout, idleAfterMinutes: 0.0005 };
  const host = { terminals: 1, memoryBytes: null };
  const made = await primary(t, new MemoryPolicies(policyOf({ rollout })), undefined, host);
  const one = made.worker();
  const { use } = await one.terminals.reach(alice, patient);
  use.begin();
  const { lastActivityAt } = entryOf(made);
  await until(() => Date.now() > lastActivityAt + 30, 'it is idle, as far as the primary knows');
  const bob = keyOf('bob');
  await assert.rejects(async () => one.terminals.reach(bob, patient), OverBudgetError);
  assert.equal(made.backend.count('stop'), 0);
  use.end();
  one.terminals.tellUse();
  await until(() => entryOf(made).inFlight === 0, 'it ends');
  const ended = entryOf(made).lastActivityAt;
  await until(() => Date.now() > ended + 30, 'it is idle');
  assert.equal((await one.terminals.reach(bob, patient)).terminal.phase, 'Running');
});

test('nobody is granted one whose leases are being recalled, until it is decided', async (t) => {
  const { reconciler, leases, worker } = await primary(t);
  const held = gate();
  const slow: Holder = { granted: () => undefined, gone: () => undefined, recall: () => held.passed };
  await leases.reach(slow, () => reconciler.reach(alice, patient), alice);
  const { name } = entryOf({ reconciler });
  const recalled = leases.recall(name);
  const other = worker();
  const reaching = other.terminals.reach(alice, patient);
  await turns();
  assert.equal(other.terminals.running(alice), null);
  held.open();
  await recalled;
  assert.equal(leases.isHeld(name), false, 'whoever waited for that decides now');
  await reaching;
  assert.equal(leases.isHeld(name), true);
});

test('one that is granted again while it is recalled stays granted', async (t) => {
  const { reconciler, leases } = await primary(t);
  const held = gate();
  const slow: Holder = { granted: () => undefined, gone: () => undefined, recall: () => held.passed };
  let last = 0;
  const failing: Holder = {
    ...slow,
    granted: ({ lease }) => {
      last = lease;
    },
  };
  const reach = () => reconciler.reach(alice, patient);
  await leases.reach(slow, reach, alice);
  await leases.reach(failing, reach, alice);
  leases.suspect(failing, last);
  const { name } = entryOf({ reconciler });
  await leases.reach(slow, reach, alice);
  held.open();
  await turns();
  assert.equal(leases.isHeld(name), true);
});

test('a worker that does not answer is taken to use it', async (t) => {
  const made = await primary(t);
  const { reconciler, leases } = made;
  const silent: Holder = {
    granted: () => undefined,
    gone: () => undefined,
    recall: async () => {
      throw new Error('no answer');
    },
  };
  await leases.reach(silent, () => reconciler.reach(alice, patient), alice);
  const { name, lastActivityAt } = entryOf(made);
  await until(() => Date.now() > lastActivityAt, 'the clock goes on');
  await leases.recall(name);
  assert.ok(entryOf(made).lastActivityAt > lastActivityAt);
});

test('however messages are delayed, no idle terminal is stopped under a request', async (t) => {
  const runs = fc.asyncProperty(
    fc.array(fc.nat(6), { minLength: 20, maxLength: 20 }),
    fc.array(fc.record({ wait: fc.nat(15), hold: fc.nat(12) }), { minLength: 6, maxLength: 12 }),
    async (delays, requests) => {
      let message = 0;
      const delay = () => delays[message++ % delays.length] ?? 0;
      // No longer than a request is apart from the next, so that a stop meets one now and then.
      const spec = { idleTimeoutMinutes: 0.0001 };
      const made = await primary(t, new MemoryPolicies(policyOf(spec)), delay);
      const workers = [made.worker(), made.worker()];
      let underWay = 0;
      let interrupted = 0;
      made.backend.called = ({ operation }) => {
        if (operation === 'stop') interrupted += underWay;
      };
      await Promise.all(
        workers.map(async ({ terminals }) => {
          for (const { wait, hold } of requests) {
            await new Promise((resolve) => setTimeout(resolve, wait));
            const { use } = terminals.running(alice) ?? (await terminals.reach(alice, patient));
            use.begin();
            underWay += 1;
            await new Promise((resolve) => setTimeout(resolve, hold));
            underWay -= 1;
            use.end();
          }
        }),
      );
      assert.equal(interrupted, 0);
      stops += made.backend.count('stop');
      await made.reconciler.close();
      for (const { terminals } of workers) terminals.close();
    },
  );
  let stops = 0;
  await fc.assert(runs, { numRuns: 12 });
  assert.ok(stops > 0, 'something was stopped, so that it could have been wrong');
});
