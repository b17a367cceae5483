import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../../src/kubernetes/objects.ts';
import { wanted } from '../../src/operator/idle.ts';
import { revisionOf } from '../../src/operator/pod.ts';
import { isCurrent, statusOf } from '../../src/operator/status.ts';
import type { TerminalResource, TerminalStatus } from '../../src/operator/terminal-resource.ts';
import { condition } from './cluster.ts';
import { terminal } from './fixtures.ts';

const now = new Date('2026-01-01T10:05:00Z');
const running = { phase: 'Running', reason: 'Running', message: '', progressing: false } as const;
const pod: Pod = { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, status: { podIP: '10.0.0.9' } };
const base = { pod: undefined, trouble: null, notes: [] };

function kstatus(status: TerminalStatus): string {
  return ['Ready', 'Reconciling', 'Stalled'].map((type) => condition(status, type).split(' ')[0]).join(' ');
}

function statusAt(resource: TerminalResource, observed: object): TerminalStatus {
  return statusOf(
    resource,
    { ...base, wanted: wanted(resource, now.getTime()), state: running, ...observed },
    now,
  );
}

test('running: ready, with the address and everything that is needed to reach it', () => {
  const status = statusAt(terminal(), { pod });
  assert.equal(kstatus(status), 'True False False');
  assert.equal(status.phase, 'Running');
  assert.equal(status.podIP, '10.0.0.9');
  assert.equal(status.serviceUrl, 'http://terminals-default-alice.team.svc:8000');
  assert.equal(status.apiKeySecret, 'terminals-default-alice-key');
  assert.equal(status.observedGeneration, 1);
});

test('under way: reconciling, not ready', () => {
  const state = {
    phase: 'Provisioning',
    reason: 'Starting',
    message: 'the terminal starts',
    progressing: true,
  };
  assert.equal(kstatus(statusAt(terminal(), { state })), 'False True False');
});

test('an error is stalled, with its reason', () => {
  const state = { phase: 'Error', reason: 'ErrImagePull', message: 'no such image', progressing: false };
  const status = statusAt(terminal(), { state });
  assert.equal(kstatus(status), 'False False True');
  assert.equal(condition(status, 'Stalled'), 'True ErrImagePull');
  assert.equal(status.message, 'no such image');
});

test('trouble around a Pod that runs is stalled and leaves it ready', () => {
  const trouble = { reason: 'NameCollision', message: 'there is a Service' };
  const status = statusAt(terminal(), { pod, trouble });
  assert.equal(kstatus(status), 'True False True');
  assert.equal(status.phase, 'Running');
});

test('idle: not ready, nothing under way, with the use that it was stopped after', () => {
  const resource = terminal({ status: { lastActivityAt: '2026-01-01T09:00:00Z' } });
  const status = statusAt(resource, { state: null });
  assert.equal(kstatus(status), 'False False False');
  assert.deepEqual(
    [status.phase, status.idleSince, status.podName],
    ['Idle', '2026-01-01T09:00:00Z', undefined],
  );
});

test('a condition keeps the time of its last change, and the same status needs no write', () => {
  const first = statusAt(terminal(), { pod });
  const later = terminal({ status: { ...first, lastActivityAt: '2026-01-01T10:04:00Z' } });
  const second = statusOf(
    later,
    { ...base, wanted: wanted(later, now.getTime()), state: running, pod },
    new Date('2027-01-01'),
  );
  assert.deepEqual(second, first);
  assert.equal(isCurrent(later, second), true);
  assert.equal(isCurrent(later, { ...second, message: 'other' }), false);
});

test('the revision is of what needs another Pod: not CPU, memory, timeouts or size', () => {
  const revision = revisionOf(terminal().spec);
  const same = {
    resources: { limits: { cpu: '2' } },
    idleTimeoutMinutes: 1,
    suspend: true,
    persistence: { size: '9Gi' },
  };
  assert.equal(revisionOf(terminal({ spec: same }).spec), revision);
  const others = [
    { image: 'x' },
    { env: { A: '1' } },
    { packages: ['x'] },
    { restricted: true },
    { podTemplate: { spec: {} } },
  ];
  const revisions = new Set(others.map((spec) => revisionOf(terminal({ spec }).spec)));
  assert.equal(revisions.size, others.length);
  assert.equal(revisions.has(revision), false);
  const [one, two] = [
    { A: '1', B: '2' },
    { B: '2', A: '1' },
  ].map((env) => revisionOf(terminal({ spec: { env } }).spec));
  assert.equal(one, two);
});
