import assert from 'node:assert/strict';
import { test } from 'node:test';
import { observe } from '../../../src/backend/kubernetes/observe.ts';
import type { Pod, Secret } from '../../../src/kubernetes/objects.ts';
import { keyHashAnnotation, revisionAnnotation } from '../../../src/operator/child-names.ts';
import { keyHashOf, secretOf, withKey } from '../../../src/operator/children.ts';
import {
  ownerReference,
  type TerminalSpec,
  type TerminalStatus,
} from '../../../src/operator/terminal-resource.ts';
import { terminal as resource } from '../../operator/fixtures.ts';

type Statuses = NonNullable<NonNullable<Pod['status']>['containerStatuses']>;

interface Seen {
  readonly since?: string;
  readonly metadata?: Partial<Pod['metadata']>;
  readonly spec?: Partial<TerminalSpec>;
}

const uid = 'the-terminal';

function parts(status: TerminalStatus = {}, pod: Partial<Pod['metadata']> = {}, ready = true) {
  const terminal = resource({
    spec: { userId: 'alice' },
    metadata: { uid, annotations: { [revisionAnnotation]: 'two' } },
    status: { phase: 'Running', observedGeneration: 1, ...status },
  });
  const secret: Secret = withKey(secretOf(terminal), 'the-key');
  const annotations = { [revisionAnnotation]: 'two', [keyHashAnnotation]: keyHashOf(secret) ?? '' };
  const ownerReferences = [ownerReference(terminal)];
  return {
    terminal,
    secret,
    pod: {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: terminal.metadata.name, annotations, ownerReferences, ...pod },
      status: {
        podIP: '10.0.0.7',
        startTime: '2026-01-01T10:00:00Z',
        conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
      },
    } satisfies Pod,
  };
}

test('one that runs is where its Pod is, with the key of its Secret', () => {
  const actual = observe(parts(), 'pod');
  assert.ok(actual?.phase === 'Running');
  assert.deepEqual(actual.address, { host: '10.0.0.7', port: 8000 });
  assert.equal(actual.apiKey, 'the-key');
  assert.equal(actual.startedAt, Date.parse('2026-01-01T10:00:00Z'));
});

test('nobody is sent to a Pod that is not the right one', () => {
  const good = parts();
  const keyless: Secret = { ...good.secret, data: {} };
  const otherKey = withKey(good.secret, 'another');
  const wrong = {
    'not ready': parts({}, {}, false),
    'on its way out': parts({}, { deletionTimestamp: '2026-01-01T10:00:00Z' }),
    'from the workload before': parts(
      {},
      { annotations: { ...good.pod.metadata.annotations, [revisionAnnotation]: 'one' } },
    ),
    'of another owner': parts({}, { ownerReferences: [] }),
    'started with another key': { ...good, secret: otherKey },
    'whose Secret is empty': { ...good, secret: keyless },
    'not there': { ...good, pod: undefined },
  };
  for (const [what, given] of Object.entries(wrong)) {
    const actual = observe(given, 'pod');
    assert.equal(actual?.phase, 'Provisioning', what);
  }
});

test('one that was ready in its Pod is waited for, for as long as a start may take', () => {
  const given = parts({}, {}, false);
  const startedAt = '2026-01-01T10:00:00Z';
  const container = { name: 'terminal', image: '', imageID: '', ready: false, restartCount: 0 };
  const up = { ...container, started: true, state: { running: { startedAt } } };
  const { terminal } = given;
  const seen = (
    containerStatuses: Statuses,
    { since = '2026-01-01T11:00:00Z', metadata = {}, spec = {} }: Seen = {},
  ) => {
    const { metadata: own, status } = given.pod;
    const conditions = [{ type: 'Ready', status: 'False', lastTransitionTime: since }];
    const pod: Pod = {
      ...given.pod,
      metadata: { ...own, ...metadata },
      status: { ...status, conditions, containerStatuses },
    };
    const parts = { ...given, terminal: { ...terminal, spec: { ...terminal.spec, ...spec } }, pod };
    const actual = observe(parts, 'pod');
    assert.ok(actual?.phase === 'Provisioning');
    return actual.awaitedUntil === undefined ? null : new Date(actual.awaitedUntil).toISOString();
  };
  assert.equal(seen([{ ...up, name: 'helper' }, up]), '2026-01-01T11:01:25.000Z');
  assert.equal(seen([up], { spec: { packages: ['jq'] } }), '2026-01-01T11:05:25.000Z');
  assert.equal(seen([up], { spec: { startTimeoutSeconds: 600 } }), '2026-01-01T11:10:25.000Z');
  // Never ready: it has not been since the kubelet took the Pod.
  assert.equal(seen([up], { since: '2026-01-01T09:59:58Z' }), null);
  assert.equal(seen([up], { since: startedAt }), null);
  assert.equal(seen([{ ...up, name: 'helper' }]), null);
  assert.equal(seen([{ ...up, started: false }]), null);
  assert.equal(seen([{ ...up, state: { terminated: { exitCode: 1 } } }]), null);
  assert.equal(seen([up], { metadata: { deletionTimestamp: startedAt } }), null);
  assert.equal(seen([up], { metadata: { annotations: { [revisionAnnotation]: 'one' } } }), null);
});

test('its own address counts while the operator has yet to look at a change in place', () => {
  assert.equal(observe(parts({ observedGeneration: 0 }), 'pod')?.phase, 'Running');
});

test('idle is idle, though its Pod has not gone yet, until it is used after it was stopped', () => {
  const idle = {
    phase: 'Idle',
    idleSince: '2026-01-01T10:00:00Z',
    lastActivityAt: '2026-01-01T10:00:00Z',
  } as const;
  assert.equal(observe(parts(idle), 'pod')?.phase, 'Idle');
  const woken = observe(parts({ ...idle, lastActivityAt: '2026-01-01T10:30:00Z' }), 'pod');
  assert.equal(woken?.phase, 'Provisioning');
});

test('an error is one only once the operator has seen the last change', () => {
  const failing = { phase: 'Error', message: 'no such image' } as const;
  const seen = observe({ ...parts(failing), pod: undefined }, 'pod');
  assert.ok(seen?.phase === 'Error');
  assert.deepEqual([seen.detail, seen.recover], ['no such image', 'replace']);
  const unseen = observe({ ...parts({ ...failing, observedGeneration: 0 }), pod: undefined }, 'pod');
  assert.equal(unseen?.phase, 'Provisioning');
});

test('what the kubelet mends by itself is a start that goes on', () => {
  const condition = { status: 'True', message: '', lastTransitionTime: '2026-01-01T10:00:00Z' } as const;
  const passing: readonly TerminalStatus[] = [
    { phase: 'Error', conditions: [{ ...condition, type: 'Stalled', reason: 'OOMKilled' }] },
    { phase: 'Error', message: 'failed to sync secret cache: timed out waiting for the condition' },
  ];
  for (const status of passing)
    assert.equal(observe({ ...parts(status), pod: undefined }, 'pod')?.phase, 'Provisioning');
});

test('its last use is what the resource says, and its creation where it says nothing', () => {
  assert.equal(observe(parts(), 'pod')?.lastActivityAt, Date.parse('2026-01-01T10:00:00Z'));
  const used = parts({ lastActivityAt: '2026-01-01T12:00:00.500Z' });
  assert.equal(observe(used, 'pod')?.lastActivityAt, Date.parse('2026-01-01T12:00:00.500Z'));
});

test('a Terminal by another name than its user and policy give is none of ours', () => {
  const { terminal, ...others } = parts();
  const named = { ...terminal, metadata: { ...terminal.metadata, name: 'by-hand' } };
  assert.equal(observe({ terminal: named, ...others }, 'pod'), null);
});
