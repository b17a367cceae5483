import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Policy } from '../../src/policy/policy.ts';
import {
  type Declared,
  hasChanges,
  type PlannedTerminal,
  planReport,
} from '../../src/reconcile/plan-report.ts';
import { Templates } from '../../src/reconcile/templates.ts';
import { fingerprintOf } from '../../src/terminal/desired.ts';
import { terminalName } from '../../src/terminal/names.ts';
import type { Actual } from '../../src/terminal/terminal.ts';
import { keyOf, MemoryPolicies, policyOf } from './harness.ts';

const templates = new Templates({});
const now = Date.parse('2026-01-01T12:00:00Z');
const minute = 60_000;

function declared(...policies: readonly Policy[]): Declared {
  return { set: new MemoryPolicies(...policies).current, templateOf: (policy) => templates.of(policy) };
}

/** A terminal that runs as this policy says. */
function running(user: string, policy: Policy, changes: Partial<Actual> = {}): PlannedTerminal {
  const key = keyOf(user, policy.id);
  const { revision, workload, limits, idleTimeoutMs } = templates.of(policy);
  const actual = {
    phase: 'Running',
    key,
    name: terminalName(key),
    revision,
    fingerprint: fingerprintOf(workload),
    limits,
    idleTimeoutMs,
    address: { host: '127.0.0.1', port: 1 },
    apiKey: 'the-key-of-the-terminal',
    startedAt: 0,
    ...changes,
  } as Actual;
  return { key, name: actual.name, actual, driftedSince: null, lastActivityAt: now - minute, inFlight: 0 };
}

function report(after: Declared, before: Declared | null, ...terminals: readonly PlannedTerminal[]) {
  return planReport({ after, before, terminals, opensAt: (_window, at) => at, now });
}

const plain = policyOf({ image: 'a:1', idleTimeoutMinutes: 0 });
const limits = (memory: string) => ({
  ...plain.spec.resources,
  limits: { ...plain.spec.resources.limits, memory },
});

test('what is as declared has no step, says so, and is no change', () => {
  const found = report(declared(plain), null, running('alice', plain));
  assert.deepEqual(found.terminals, [
    {
      terminal: terminalName(keyOf('alice')),
      user: 'alice',
      policy: 'default',
      context: null,
      phase: 'Running',
      reason: 'as declared',
      steps: [],
    },
  ]);
  assert.equal(hasChanges(found), false);
});

test('a limit is changed in place now, an image when the terminal is idle, each with what changes', () => {
  const next = policyOf({ image: 'a:2', idleTimeoutMinutes: 0, resources: limits('2Gi') });
  const found = report(declared(next), declared(plain), running('alice', plain));
  assert.deepEqual(found.policies[0]?.changes, [
    { field: 'image', from: 'a:1', to: 'a:2' },
    { field: 'resources.limits.memory', from: '1Gi', to: '2Gi' },
  ]);
  assert.deepEqual(found.terminals[0]?.steps, [
    {
      action: 'update in place',
      when: 'now',
      reason: 'limits changed',
      change: true,
      changes: [{ field: 'resources.limits.memory', from: '1024Mi', to: '2048Mi' }],
    },
    {
      action: 'replace',
      when: '2026-01-01T12:04:00.000Z',
      reason: 'the policy changed (rollout when idle)',
      change: true,
      changes: [{ field: 'image', from: 'a:1', to: 'a:2' }],
    },
  ]);
  assert.ok(hasChanges(found));
});

test('what would be done anyway is told, and is no change of these policies', () => {
  const next = policyOf({ image: 'a:2', idleTimeoutMinutes: 0 });
  const waiting = running('alice', plain);
  const found = report(declared(next), declared(next), waiting);
  const [step] = found.terminals[0]?.steps ?? [];
  assert.deepEqual([step?.action, step?.change], ['replace', false]);
  assert.equal(hasChanges(found), false);
  assert.deepEqual(found.rollouts, []);
  assert.equal(hasChanges(report(declared(next), null, waiting)), true, 'of what is in force it is one');
});

test('an idle stop is the ordinary course; that of a terminal whose policy goes is a change', () => {
  const timed = policyOf({ idleTimeoutMinutes: 10 });
  const ordinary = report(declared(timed), declared(timed), running('alice', timed));
  assert.deepEqual(
    ordinary.terminals[0]?.steps.map(({ action, change }) => [action, change]),
    [['stop', false]],
  );
  const team = policyOf({ idleTimeoutMinutes: 10 }, 'team');
  const gone = report(declared(timed), declared(timed, team), running('alice', team));
  assert.equal(gone.policies[0]?.change, 'removed');
  const [step] = gone.terminals[0]?.steps ?? [];
  assert.deepEqual([step?.action, step?.change], ['stop', true]);
  assert.match(step?.reason ?? '', /its policy is gone/);
});

test('of many to be replaced it says how many at a time', () => {
  const next = policyOf({
    image: 'a:2',
    rollout: { ...plain.spec.rollout, when: 'now', maxUnavailable: '50%' },
  });
  const users = ['a', 'b', 'c', 'd'].map((user) => running(user, plain));
  const found = report(declared(next), declared(plain), ...users);
  assert.deepEqual(found.rollouts, [{ policy: 'default', replaced: 4, parallel: 2 }]);
});

test('a terminal that somebody waits for is created; one that nobody knows of is left out', () => {
  const key = keyOf('alice');
  const asked = { ...running('alice', plain), actual: undefined, waiters: { size: 1 } };
  const found = report(declared(plain), null, asked, { ...asked, key, waiters: { size: 0 } });
  assert.deepEqual(
    found.terminals.map(({ phase, steps }) => [phase, steps.map(({ action }) => action)]),
    [['Pending', ['create']]],
  );
});

test('terminals are in the order of their names, and no key of one is in the report', () => {
  const found = report(declared(plain), null, running('zoe', plain), running('alice', plain));
  assert.deepEqual(
    found.terminals.map(({ user }) => user),
    ['alice', 'zoe'],
  );
  assert.doesNotMatch(JSON.stringify(found), /the-key-of-the-terminal/);
});

test('a reset by schedule is a step with its time, and no change: the policy has said so all along', () => {
  const policy = policyOf({
    idleTimeoutMinutes: 0,
    reset: { schedule: '@daily', timezone: 'UTC', keep: [] },
  });
  const after = declared(policy);
  const due = now + 60 * minute;
  const terminals = [running('alice', policy)];
  const found = planReport({ after, before: null, terminals, opensAt: () => null, resetAt: () => due, now });
  assert.deepEqual(
    found.terminals[0]?.steps.map(({ action, when, change }) => [action, when, change]),
    [['reset its home', '2026-01-01T13:00:00.000Z', false]],
  );
  assert.equal(hasChanges(found), false);
});
