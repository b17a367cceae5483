import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  ImagePullError,
  PolicyUnknownError,
  ShuttingDownError,
  StartFailedError,
  TerminalPausedError,
} from '../../src/errors.ts';
import { gate, harness, keyOf, MemoryPolicies, patient, policyOf, turns, until } from './harness.ts';

const alice = keyOf('alice');

test('a hundred requests at once for one key make one terminal, and all get it', async (t) => {
  const { backend, reconciler } = await harness(t);
  const reached = await Promise.all(Array.from({ length: 100 }, () => reconciler.reach(alice, patient)));
  assert.deepEqual(backend.changes, ['create']);
  assert.equal(new Set(reached.map(({ terminal }) => terminal)).size, 1);
});

test('different users, policies and contexts are different terminals', async (t) => {
  const policies = new MemoryPolicies(policyOf(), policyOf({}, 'other'));
  const { backend, reconciler } = await harness(t, { policies });
  const keys = [alice, keyOf('bob'), keyOf('alice', 'other'), keyOf('alice', 'default', 'chat:1')];
  const reached = await Promise.all(keys.map((key) => reconciler.reach(key, patient)));
  assert.equal(new Set(reached.map(({ terminal }) => terminal.name)).size, 4);
  assert.equal(backend.count('create'), 4);
});

test('one that runs is reached at once, without asking the engine', async (t) => {
  const { backend, reconciler } = await harness(t);
  const first = await reconciler.reach(alice, patient);
  await turns();
  const asked = backend.calls.length;
  const again = reconciler.reach(alice, patient);
  assert.ok(!(again instanceof Promise));
  assert.equal(again.terminal.address, first.terminal.address);
  await turns();
  assert.equal(backend.calls.length, asked);
});

test('what ran before Terminals started is taken up, not made anew', async (t) => {
  const before = await harness(t);
  const { terminal } = await before.reconciler.reach(alice, patient);
  await before.reconciler.close();
  const after = await harness(t, { backend: before.backend });
  const taken = await after.reconciler.reach(alice, patient);
  assert.equal(taken.terminal.startedAt, terminal.startedAt);
  assert.deepEqual(before.backend.changes, ['create']);
});

test('an idle one is started again, not made anew', async (t) => {
  const { backend, reconciler } = await harness(t);
  await reconciler.reach(alice, patient);
  await backend.stop(alice);
  await until(() => [...reconciler.entries][0]?.actual?.phase === 'Idle', 'the stop is noticed');
  const { terminal } = await reconciler.reach(alice, patient);
  assert.equal(terminal.phase, 'Running');
  assert.deepEqual(backend.changes, ['create', 'stop', 'start']);
});

test('a crashed one is replaced by the next request, and not before', async (t) => {
  const { backend, reconciler } = await harness(t);
  const { terminal } = await reconciler.reach(alice, patient);
  backend.outside(alice, { ...terminal, phase: 'Error', detail: 'it ended with 137', recover: 'replace' });
  await until(() => [...reconciler.entries][0]?.actual?.phase === 'Error', 'the crash is noticed');
  await turns();
  assert.deepEqual(backend.changes, ['create']);
  const again = await reconciler.reach(alice, patient);
  assert.notEqual(again.terminal.startedAt, terminal.startedAt);
  assert.deepEqual(backend.changes, ['create', 'prepare', 'remove', 'create']);
  assert.equal(backend.homes.size, 1);
});

test('one that somebody paused is refused with the reason, and left alone', async (t) => {
  const { backend, reconciler } = await harness(t);
  const { terminal } = await reconciler.reach(alice, patient);
  backend.outside(alice, { ...terminal, phase: 'Error', detail: 'it is paused', recover: 'by-hand' });
  await until(() => [...reconciler.entries][0]?.actual?.phase === 'Error', 'the pause is noticed');
  await assert.rejects(async () => reconciler.reach(alice, patient), {
    name: TerminalPausedError.name,
    message: 'it is paused',
  });
  assert.deepEqual(backend.changes, ['create']);
});

test('a failed start tells everybody who waits the typed error, is not repeated by itself, and the next request tries again', async (t) => {
  const { backend, reconciler } = await harness(t);
  const failure = new StartFailedError('It ended with exit code 1.', 'Look in its log.');
  backend.inject('create', {
    before: () => {
      throw failure;
    },
  });
  const results = await Promise.allSettled(
    Array.from({ length: 5 }, async () => reconciler.reach(alice, patient)),
  );
  for (const result of results) assert.equal(result.status === 'rejected' && result.reason, failure);
  await turns();
  assert.equal(backend.count('create'), 1);
  await reconciler.reach(alice, patient);
  assert.equal(backend.count('create'), 2);
});

test('a create that failed after it had made the terminal leaves none behind twice: the next request takes it up', async (t) => {
  const { backend, reconciler } = await harness(t);
  backend.deaf = true;
  backend.inject('create', {
    after: () => {
      throw new ImagePullError('The connection broke.', 'Try again.');
    },
  });
  await assert.rejects(async () => reconciler.reach(alice, patient), ImagePullError);
  const made = backend.actual(alice);
  const { terminal } = await reconciler.reach(alice, patient);
  assert.equal(terminal, made);
  assert.equal(backend.count('create'), 1);
});

test('whoever goes away stops waiting with his own reason, and the start goes on for the others', async (t) => {
  const { backend, reconciler } = await harness(t);
  const held = gate();
  backend.inject('create', { before: () => held.passed });
  const leaving = new AbortController();
  const gone = Promise.resolve(reconciler.reach(alice, leaving.signal));
  const stays = Promise.resolve(reconciler.reach(alice, patient));
  await until(() => backend.count('create') === 1, 'the create began');
  leaving.abort(new Error('the tab was closed'));
  await assert.rejects(gone, /the tab was closed/);
  const [entry] = reconciler.entries;
  assert.equal(entry?.waiters.size, 1);
  held.open();
  assert.equal((await stays).terminal.phase, 'Running');
  assert.equal(entry.waiters.size, 0);
});

test('when all have gone away before anything began, nothing is made and nothing is kept', async (t) => {
  const { backend, reconciler } = await harness(t);
  const leaving = new AbortController();
  const gone = Promise.resolve(reconciler.reach(alice, leaving.signal));
  leaving.abort(new Error('gone'));
  await assert.rejects(gone, /gone/);
  await turns();
  assert.equal(backend.count('create'), 0);
  assert.equal([...reconciler.entries].length, 0);
});

test('who has gone away already does not begin to wait', async (t) => {
  const { backend, reconciler } = await harness(t);
  const gone = AbortSignal.abort(new Error('gone'));
  await assert.rejects(async () => reconciler.reach(alice, gone), /gone/);
  await turns();
  assert.equal(backend.count('create'), 0);
});

test('a key of no policy is refused, and nothing is kept of it', async (t) => {
  const { backend, reconciler } = await harness(t);
  await assert.rejects(async () => reconciler.reach(keyOf('alice', 'nowhere'), patient), PolicyUnknownError);
  assert.equal(backend.count('create'), 0);
  await until(() => [...reconciler.entries].length === 0, 'the entry is forgotten');
});

test('closing tells everybody who waits that it shuts down, and waits for what is under way', async (t) => {
  const { backend, reconciler } = await harness(t);
  const held = gate();
  backend.inject('create', { before: () => held.passed });
  const waiting = Promise.resolve(reconciler.reach(alice, patient));
  waiting.catch(() => undefined);
  await until(() => backend.count('create') === 1, 'the create began');
  let closed = false;
  const closing = reconciler.close().then(() => {
    closed = true;
  });
  await assert.rejects(waiting, ShuttingDownError);
  await turns();
  assert.equal(closed, false);
  held.open();
  await closing;
  await assert.rejects(async () => reconciler.reach(keyOf('bob'), patient), ShuttingDownError);
  assert.equal(backend.actual(alice)?.phase, 'Running', 'terminals go on running');
});

test('a start that takes long does not hold up the start of another user', async (t) => {
  const { backend, reconciler } = await harness(t);
  const held = gate();
  backend.inject('create', { before: () => held.passed });
  const slow = Promise.resolve(reconciler.reach(alice, patient));
  await until(() => backend.count('create') === 1, 'the create began');
  assert.equal((await reconciler.reach(keyOf('bob'), patient)).terminal.phase, 'Running');
  held.open();
  await slow;
});
