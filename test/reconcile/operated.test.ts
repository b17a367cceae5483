/** A backend that others use as well: what they do counts, and what can be one step is. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { ActivityRecord, Progress } from '../../src/backend/backend.ts';
import { StartTimeoutError } from '../../src/errors.ts';
import { Reconciler } from '../../src/reconcile/reconciler.ts';
import { Templates } from '../../src/reconcile/templates.ts';
import type { Desired, RunningTerminal, TerminalKey, TerminalName } from '../../src/terminal/terminal.ts';
import { steady } from '../terminal/fixtures.ts';
import { capturedLog, harness, keyOf, MemoryPolicies, patient, policyOf, turns, until } from './harness.ts';
import { MemoryBackend } from './memory-backend.ts';

const alice = keyOf('alice');

class OperatedBackend extends MemoryBackend {
  readonly replaced: Desired[] = [];
  readonly stopped: TerminalKey[] = [];

  async replace(desired: Desired, progress: Progress): Promise<RunningTerminal> {
    this.replaced.push(desired);
    await super.remove(desired.key, { files: false });
    return this.create(desired, progress);
  }

  override async create(desired: Desired, progress: Progress): Promise<RunningTerminal> {
    return { ...(await super.create(desired, progress)), operated: true };
  }

  /** What it stops is still there. */
  override async remove(key: TerminalKey, what: { readonly files: boolean }): Promise<void> {
    if (what.files) return super.remove(key, what);
    this.stopped.push(key);
    return super.stop(key);
  }
}

/** Keeps what it is told. */
class MemoryActivity implements ActivityRecord {
  readonly intervalMs = 5;
  readonly saved = new Map<TerminalName, number>();
  ended = false;

  async load() {
    return { lastActivityAt: () => null };
  }

  async save(times: ReadonlyMap<TerminalName, number>, _now: number, last = false): Promise<void> {
    for (const [name, at] of times) this.saved.set(name, at);
    this.ended ||= last;
  }
}

test('a changed workload is one step of the backend', async (t) => {
  const backend = new OperatedBackend();
  const { reconciler, policies } = await harness(t, { backend });
  await reconciler.reach(alice, patient);
  policies.edit(policyOf({ env: { A: 'b' }, rollout: { ...steady, when: 'now', idleAfterMinutes: 0 } }));
  await until(() => backend.replaced.length === 1, 'it is replaced');
  assert.equal(backend.stopped.length, 0);
  assert.equal(backend.replaced[0]?.workload.env.A, 'b');
});

test('one that is taken away to be made anew is known on, stopped', async (t) => {
  const backend = new OperatedBackend();
  const { reconciler } = await harness(t, { backend });
  const { terminal } = await reconciler.reach(alice, patient);
  await reconciler.order({ kind: 'refresh', reason: 'asked for' }, terminal.name);
  await until(() => [...reconciler.entries].some(({ actual }) => actual?.phase === 'Idle'), 'it is idle');
});

/** One whose Pod is not ready any more, with a policy that has become another since, and where a start of it fails. */
async function unready(t: TestContext, awaitedUntil: number) {
  const backend = new OperatedBackend();
  const { reconciler, policies } = await harness(t, { backend });
  const {
    address: _address,
    apiKey: _key,
    startedAt: _at,
    ...seen
  } = (await reconciler.reach(alice, patient)).terminal;
  const edited = policyOf({ env: { A: 'b' } });
  backend.outside(alice, { ...seen, phase: 'Provisioning', detail: 'its Pod is not ready', awaitedUntil });
  await until(() => reconciler.running(alice) === null, 'it is known');
  policies.edit(edited);
  const late = new StartTimeoutError('It is not ready.', 'Try again.');
  backend.inject('start', { before: () => Promise.reject(late) }, 2);
  await assert.rejects(async () => reconciler.reach(alice, patient), late);
  return { backend, failures: reconciler.rollouts.stateOf(edited).failures };
}

test('one that was ready is only waited for, and where it stays unready that says nothing of a new revision', async (t) => {
  const { backend, failures } = await unready(t, Date.now() + 60_000);
  assert.deepEqual([failures, backend.count('start')], [0, 1]);
});

test('one that has not been ready for long is brought up as any other, and goes back', async (t) => {
  const { backend, failures } = await unready(t, Date.now() - 1);
  assert.deepEqual([failures, backend.count('start')], [1, 2]);
});

test('the use by another process counts as use here', async (t) => {
  const backend = new OperatedBackend();
  const { reconciler } = await harness(t, { backend });
  const { terminal } = await reconciler.reach(alice, patient);
  const later = Date.now() + 60_000;
  backend.outside(alice, { ...terminal, lastActivityAt: later });
  await until(
    () => [...reconciler.entries].some(({ lastActivityAt }) => lastActivityAt === later),
    'it is known',
  );
  backend.outside(alice, { ...terminal, lastActivityAt: later - 10_000 });
  await turns();
  assert.equal([...reconciler.entries][0]?.lastActivityAt, later);
});

test('a terminal that another process made was not used by being seen', async (t) => {
  const backend = new OperatedBackend();
  const { reconciler } = await harness(t, { backend });
  const { terminal } = await reconciler.reach(alice, patient);
  const bob = keyOf('bob');
  const long = Date.now() - 3_600_000;
  backend.outside(bob, { ...terminal, key: bob, lastActivityAt: long });
  await until(() => [...reconciler.entries].some(({ key }) => key.user === 'bob'), 'it is known');
  const entry = [...reconciler.entries].find(({ key }) => key.user === 'bob');
  assert.equal(entry?.lastActivityAt, long);
});

test('a request under way is use until it ends, and the last use is told at the end', async (t) => {
  const activity = new MemoryActivity();
  const { log } = await capturedLog();
  const policies = new MemoryPolicies(policyOf());
  const templates = new Templates({});
  const reconciler = new Reconciler({ backend: new OperatedBackend(), policies, templates, activity, log });
  t.after(() => reconciler.close());
  await reconciler.start();
  const { terminal, use } = await reconciler.reach(alice, patient);
  use.begin();
  const begun = Date.now();
  await until(() => (activity.saved.get(terminal.name) ?? 0) > begun + 20, 'it is told again and again');
  use.end();
  await reconciler.close();
  assert.ok(activity.ended);
});
