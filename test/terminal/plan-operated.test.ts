/** Where an operator brings terminals up and stops them, and several processes declare them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { settingsOf } from '../../src/terminal/desired.ts';
import { planTerminal } from '../../src/terminal/plan.ts';
import type { Actual, Desired, RunningTerminal } from '../../src/terminal/terminal.ts';
import { desired, minute, running, steady } from './fixtures.ts';

const whole = {
  resources: { requests: { cpu: '100m', memory: '256Mi' }, limits: { cpu: 1, memory: '1Gi', pids: 9 } },
  persistence: { enabled: true, size: '1Gi' },
};

function operated(from: Desired): RunningTerminal {
  const { cpuMillis, memoryBytes } = from.limits;
  const settings = { ...settingsOf(from), 'persistence.storageClass': 'the-default-one' };
  return { ...running(from), limits: { cpuMillis, memoryBytes }, settings, operated: true };
}

interface Given {
  readonly wanted?: Desired | undefined;
  readonly actual: Actual;
  readonly now?: number;
  readonly requested?: boolean;
}

function plan({ wanted, actual, now = 0, requested = false }: Given) {
  return planTerminal({
    desired: wanted,
    actual,
    requested,
    activity: { lastActivityAt: 0, inFlight: 0 },
    driftedSince: null,
    windowOpensAt: now,
    now,
  });
}

test('one that runs as declared is left to its operator, however long nobody used it', () => {
  const wanted = desired({ ...whole, idleTimeoutMinutes: 30 });
  const { action, deferred } = plan({ wanted, actual: operated(wanted), now: 1_000 * minute });
  assert.deepEqual([action.kind, deferred], ['none', []]);
});

test('without a policy and an idle timeout nobody but this stops it', () => {
  const never = operated(desired({ ...whole, idleTimeoutMinutes: 0 }));
  assert.equal(plan({ actual: never, now: 31 * minute }).action.kind, 'stop');
  const sometime = operated(desired({ ...whole, idleTimeoutMinutes: 5 }));
  assert.equal(plan({ actual: sometime, now: 31 * minute }).action.kind, 'none');
});

test('one that starts is waited for only where somebody asks for it', () => {
  const wanted = desired(whole);
  const actual = { ...operated(wanted), phase: 'Provisioning', detail: 'it starts' } as const;
  assert.equal(plan({ wanted, actual }).action.kind, 'none');
  assert.equal(plan({ wanted, actual, requested: true }).action.kind, 'start');
});

test('whatever is not in the workload is declared anew in place, each field by its name', () => {
  const actual = operated(desired(whole));
  const wanted = desired({
    ...whole,
    idleTimeoutMinutes: 7,
    persistence: { enabled: true, size: '2Gi', storageClass: 'fast' },
  });
  const { action } = plan({ wanted, actual });
  assert.equal(action.kind, 'update');
  assert.deepEqual('changes' in action && action.changes.map(({ field, from, to }) => [field, from, to]), [
    ['idleTimeoutMinutes', '30', '7'],
    ['persistence.size', '1Gi', '2Gi'],
    ['persistence.storageClass', 'the-default-one', 'fast'],
  ]);
});

test('also one that is idle is told of another schedule of resets, and of nothing else', () => {
  const wanted = desired({ ...whole, reset: { schedule: '@weekly', timezone: 'UTC', keep: [] } });
  const actual = { ...operated(desired(whole)), phase: 'Idle' } as const;
  const { action } = plan({ wanted, actual });
  assert.equal(action.kind, 'update');
  assert.deepEqual('changes' in action && action.changes, [
    { field: 'reset', from: 'never', to: '@weekly (UTC)' },
  ]);
  const told = { ...actual, settings: settingsOf(wanted) };
  assert.equal(plan({ wanted, actual: told }).action.kind, 'none');
  assert.equal(plan({ wanted: desired({ ...whole, idleTimeoutMinutes: 7 }), actual }).action.kind, 'none');
  const suspended = desired({ ...whole, suspend: true, reset: wanted.reset ?? undefined });
  assert.equal(plan({ wanted: suspended, actual }).action.kind, 'none');
});

test('a policy that becomes suspended says so to the operator, and nothing else', () => {
  const actual = operated(desired(whole));
  const wanted = desired({ ...whole, suspend: true, idleTimeoutMinutes: 7, image: 'open-terminal:2' });
  const { action } = plan({ wanted, actual, now: 99 * minute });
  assert.deepEqual('changes' in action && action.changes, [{ field: 'suspend', from: 'false', to: 'true' }]);
  const suspended = { ...actual, settings: { ...actual.settings, suspend: 'true' } };
  assert.equal(plan({ wanted, actual: suspended, now: 99 * minute }).action.kind, 'none');
});

test('a new workload waits until also the others would have told of a use', () => {
  const actual = operated(desired(whole));
  const rollout = { ...steady, when: 'idle', idleAfterMinutes: 0 } as const;
  const wanted = desired({ ...whole, image: 'open-terminal:2', rollout });
  assert.equal(plan({ wanted, actual, now: minute }).action.kind, 'none');
  assert.equal(plan({ wanted, actual, now: 2 * minute }).action.kind, 'replace');
});
