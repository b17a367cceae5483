import assert from 'node:assert/strict';
import { test } from 'node:test';
import { changesOf } from '../../src/terminal/changes.ts';
import { type PlanInput, planTerminal } from '../../src/terminal/plan.ts';
import type { Actual } from '../../src/terminal/terminal.ts';
import { desired, idle, minute, running, steady } from './fixtures.ts';

const now = 1_000_000_000;

function plan(input: Partial<PlanInput>) {
  return planTerminal({
    desired: desired(),
    actual: undefined,
    requested: false,
    activity: { lastActivityAt: now, inFlight: 0 },
    driftedSince: null,
    windowOpensAt: input.now ?? now,
    now,
    ...input,
  });
}

test('nothing is made that nobody asked for', () => {
  assert.equal(plan({}).action.kind, 'none');
});

test('a first request creates', () => {
  assert.equal(plan({ requested: true }).action.kind, 'create');
});

test('a request without a policy creates nothing', () => {
  assert.equal(plan({ requested: true, desired: undefined }).action.kind, 'none');
});

test('a request starts an idle terminal, and nothing else does', () => {
  assert.equal(plan({ actual: idle() }).action.kind, 'none');
  assert.equal(plan({ actual: idle(), requested: true }).action.kind, 'start');
});

test('an idle terminal of an old revision is replaced when it is asked for, whatever the rollout', () => {
  for (const when of ['idle', 'nextStart', 'now'] as const) {
    const next = desired({ image: 'open-terminal:2', rollout: { ...steady, when, idleAfterMinutes: 5 } });
    assert.equal(plan({ desired: next, actual: idle() }).action.kind, 'none');
    assert.equal(plan({ desired: next, actual: idle(), requested: true }).action.kind, 'replace');
  }
});

test('a terminal as declared is left alone until its idle timeout', () => {
  const { action, deferred } = plan({ actual: running() });
  assert.equal(action.kind, 'none');
  assert.deepEqual(
    deferred.map(({ kind, at }) => ({ kind, at })),
    [{ kind: 'stop', at: now + 30 * minute }],
  );
});

test('an idle timeout stops at its deadline and not before', () => {
  const activity = { lastActivityAt: now - 30 * minute + 1, inFlight: 0 };
  assert.equal(plan({ actual: running(), activity }).action.kind, 'none');
  const over = { lastActivityAt: now - 30 * minute, inFlight: 0 };
  assert.equal(plan({ actual: running(), activity: over }).action.kind, 'stop');
});

test('an idle timeout of 0 never stops', () => {
  const never = desired({ idleTimeoutMinutes: 0 });
  const { action, deferred } = plan({
    desired: never,
    actual: running(never),
    activity: { lastActivityAt: 0, inFlight: 0 },
  });
  assert.equal(action.kind, 'none');
  assert.deepEqual(deferred, []);
});

test('a request under way keeps a terminal from stopping and from being replaced when idle', () => {
  const activity = { lastActivityAt: now - 60 * minute, inFlight: 1 };
  assert.equal(plan({ actual: running(), activity }).action.kind, 'none');
  const next = desired({ image: 'open-terminal:2' });
  assert.equal(plan({ desired: next, actual: running(), activity }).action.kind, 'none');
});

test('a changed limit is changed in place at once, even in use', () => {
  const more = desired({ resources: { limits: { cpu: '2', memory: '2Gi', pids: 2048 } } });
  const { action } = plan({
    desired: more,
    actual: running(),
    activity: { lastActivityAt: now, inFlight: 3 },
  });
  assert.equal(action.kind, 'update');
  assert.deepEqual('changes' in action && action.changes, [
    { field: 'resources.limits.cpu', from: '1000m', to: '2000m' },
    { field: 'resources.limits.memory', from: '1024Mi', to: '2048Mi' },
  ]);
});

test('a backend that enforces no limits is not asked to change them', () => {
  const more = desired({ resources: { limits: { cpu: '2', memory: '2Gi', pids: 2048 } } });
  assert.equal(plan({ desired: more, actual: { ...running(), limits: null } }).action.kind, 'none');
});

test('rollout idle: replaced when it was quiet for long enough', () => {
  const next = desired({ image: 'open-terminal:2' });
  const busy = plan({ desired: next, actual: running() });
  assert.equal(busy.action.kind, 'none');
  assert.deepEqual([busy.deferred[0]?.kind, busy.deferred[0]?.at], ['replace', now + 5 * minute]);
  assert.deepEqual(busy.deferred[0]?.changes, [
    { field: 'image', from: 'open-terminal:1', to: 'open-terminal:2' },
  ]);
  const quiet = { lastActivityAt: now - 5 * minute, inFlight: 0 };
  assert.equal(plan({ desired: next, actual: running(), activity: quiet }).action.kind, 'replace');
});

test('rollout idle: the longest delay replaces one that is never quiet', () => {
  const next = desired({
    image: 'open-terminal:2',
    rollout: { ...steady, when: 'idle', idleAfterMinutes: 5, maxDelayMinutes: 60 },
  });
  const busy = { lastActivityAt: now, inFlight: 1 };
  const waiting = plan({ desired: next, actual: running(), activity: busy, driftedSince: now - 59 * minute });
  assert.equal(waiting.action.kind, 'none');
  assert.equal(waiting.deferred[0]?.at, now + minute);
  const over = plan({ desired: next, actual: running(), activity: busy, driftedSince: now - 60 * minute });
  assert.equal(over.action.kind, 'replace');
});

test('rollout now: replaced at once', () => {
  const next = desired({
    image: 'open-terminal:2',
    rollout: { ...steady, when: 'now', idleAfterMinutes: 5 },
  });
  assert.equal(plan({ desired: next, actual: running() }).action.kind, 'replace');
});

test('rollout nextStart: runs on as it is, and says so', () => {
  const next = desired({
    image: 'open-terminal:2',
    rollout: { ...steady, when: 'nextStart', idleAfterMinutes: 5 },
  });
  const { action, deferred } = plan({ desired: next, actual: running() });
  assert.equal(action.kind, 'none');
  assert.ok(deferred.some(({ kind, at }) => kind === 'replace' && at === null));
});

test('a suspended policy leaves its terminals as they are', () => {
  const next = desired({
    image: 'open-terminal:2',
    suspend: true,
    rollout: { ...steady, when: 'now', idleAfterMinutes: 0 },
  });
  const { action, deferred } = plan({
    desired: next,
    actual: running(),
    activity: { lastActivityAt: 0, inFlight: 0 },
  });
  assert.equal(action.kind, 'none');
  assert.deepEqual(deferred, []);
  assert.equal(plan({ desired: next, actual: idle(), requested: true }).action.kind, 'start');
});

test('a terminal whose policy is gone runs on until it is idle, and is never deleted', () => {
  const used = plan({ desired: undefined, actual: running() });
  assert.equal(used.action.kind, 'none');
  assert.equal(used.deferred[0]?.at, now + 30 * minute);
  const unused = { lastActivityAt: now - 30 * minute, inFlight: 0 };
  assert.equal(plan({ desired: undefined, actual: running(), activity: unused }).action.kind, 'stop');
  assert.equal(plan({ desired: undefined, actual: idle() }).action.kind, 'none');
});

test('a broken terminal is replaced by a request; a paused one is nobody’s to touch', () => {
  const { address: _address, apiKey: _apiKey, startedAt: _startedAt, ...observed } = running();
  const broken: Actual = { ...observed, phase: 'Error', detail: 'broken', recover: 'replace' };
  const paused: Actual = { ...observed, phase: 'Error', detail: 'paused', recover: 'by-hand' };
  assert.equal(plan({ actual: broken }).action.kind, 'none');
  assert.equal(plan({ actual: broken, requested: true }).action.kind, 'replace');
  assert.equal(plan({ actual: paused, requested: true }).action.kind, 'refuse');
});

test('a broken one may run all the same: it is stopped when it is idle, unless it is paused or its policy suspended', () => {
  const { address: _address, apiKey: _apiKey, startedAt: _startedAt, ...observed } = running();
  const broken: Actual = { ...observed, phase: 'Error', detail: 'broken', recover: 'replace' };
  const unused = { lastActivityAt: now - 30 * minute, inFlight: 0 };
  const since = { lastActivityAt: now - 29 * minute, inFlight: 0 };
  const soon = plan({ actual: broken, activity: since });
  assert.deepEqual(
    [soon.action.kind, soon.deferred.map(({ kind, at }) => [kind, at])],
    ['none', [['stop', now + minute]]],
  );
  assert.equal(plan({ actual: broken, activity: unused }).action.kind, 'stop');
  assert.equal(plan({ desired: undefined, actual: broken, activity: unused }).action.kind, 'stop');
  const paused: Actual = { ...broken, recover: 'by-hand' };
  const suspended = desired({ suspend: true });
  assert.equal(plan({ actual: paused, activity: unused }).action.kind, 'none');
  assert.equal(plan({ actual: broken, desired: suspended, activity: unused }).action.kind, 'none');
  assert.equal(plan({ actual: { ...broken, operated: true }, activity: unused }).action.kind, 'none');
});

test('values of variables never show in a plan', () => {
  const before = running(desired({ env: { TOKEN: 'old-secret', GONE: 'x' } }));
  const next = desired({
    env: { TOKEN: 'new-secret', NEW: 'y' },
    rollout: { ...steady, when: 'now', idleAfterMinutes: 5 },
  });
  const { action } = plan({ desired: next, actual: before });
  assert.deepEqual('changes' in action && action.changes, [
    { field: 'env.GONE', from: '(set)', to: null },
    { field: 'env.NEW', from: null, to: '(set)' },
    { field: 'env.TOKEN', from: '(set)', to: '(changed)' },
  ]);
  assert.doesNotMatch(JSON.stringify(action), /secret/);
});

test('planning the result of a plan finds nothing to do', () => {
  const next = desired({ image: 'open-terminal:2', packages: ['jq'] });
  assert.equal(plan({ desired: next, actual: running(next) }).action.kind, 'none');
});

test('the idle timeout and the rollout are no part of the revision; the workload is', () => {
  const base = desired().revision;
  assert.equal(desired({ idleTimeoutMinutes: 1, suspend: true }).revision, base);
  assert.equal(desired({ resources: { limits: { cpu: '4', memory: '4Gi', pids: 1 } } }).revision, base);
  const changes = [
    { image: 'x' },
    { packages: ['jq'] },
    { env: { A: '1' } },
    { egress: { allowedDomains: [] } },
  ];
  for (const change of changes) assert.notEqual(desired(change).revision, base, JSON.stringify(change));
  assert.equal(
    desired({ env: { A: '1', B: '2' } }).revision,
    desired({ env: { B: '2', A: '1' } }).revision,
    'the order of variables says nothing',
  );
});

test('a list that says nothing is (empty), unlike one that is not there', () => {
  const closed = desired({ packages: ['jq'], egress: { allowedDomains: [] } });
  assert.deepEqual(changesOf(running(), closed), [
    { field: 'egress.allowedDomains', from: 'any', to: '(empty)' },
    { field: 'packages', from: '(empty)', to: 'jq' },
  ]);
});

test('one cut from its network is put back into it, in use or not, and never made anew for that', () => {
  const astray = [{ field: 'network', from: null, to: 'team' }];
  const cut: Actual = { ...running(), phase: 'Error', detail: 'it was cut', recover: 'replace', astray };
  const inUse = { lastActivityAt: now, inFlight: 1 };
  for (const requested of [false, true]) {
    const { action } = plan({ actual: cut, requested, activity: inUse });
    assert.deepEqual(action, { kind: 'update', reason: 'it was cut', changes: astray });
  }
  const reachable = plan({ actual: { ...running(), astray }, activity: inUse });
  assert.deepEqual(reachable.action, { kind: 'update', reason: 'it was changed by hand', changes: astray });

  const suspended = desired({ suspend: true });
  assert.equal(plan({ actual: cut, desired: suspended }).action.kind, 'none');
  assert.equal(plan({ actual: cut, desired: suspended, requested: true }).action.kind, 'update');
  assert.equal(plan({ actual: cut, desired: undefined, requested: true }).action.kind, 'none');
  const paused: Actual = { ...cut, recover: 'by-hand' };
  assert.equal(plan({ actual: paused }).action.kind, 'none');
  assert.equal(plan({ actual: paused, requested: true }).action.kind, 'refuse');
});
