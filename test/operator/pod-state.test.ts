import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pod } from '../../src/kubernetes/objects.ts';
import { endOf, podState, resizeTrouble } from '../../src/operator/pod-state.ts';

type Status = NonNullable<Pod['status']>;
type ContainerStatus = NonNullable<Status['containerStatuses']>[number];

const pod = (status: Status): Pod => ({ apiVersion: 'v1', kind: 'Pod', metadata: { name: 'p' }, status });
const scheduled = { type: 'PodScheduled', status: 'True' };
const container = (fields: Partial<ContainerStatus>): Pod =>
  pod({
    phase: 'Pending',
    conditions: [scheduled, { type: 'Ready', status: 'False' }],
    containerStatuses: [
      { name: 'terminal', image: 'x', imageID: '', ready: false, restartCount: 0, ...fields },
    ],
  });

test('a Pod that is Ready runs, and nothing else does', () => {
  const ready = pod({ phase: 'Running', conditions: [scheduled, { type: 'Ready', status: 'True' }] });
  assert.equal(podState(ready).phase, 'Running');
  const unready = container({ started: true, state: { running: {} } });
  assert.deepEqual([podState(unready).phase, podState(unready).reason], ['Provisioning', 'NotReady']);
});

test('an unschedulable Pod is pending with the words of the scheduler', () => {
  const message = '0/3 nodes are available: 3 Insufficient memory.';
  const state = podState(
    pod({ conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message }] }),
  );
  assert.deepEqual(state, { phase: 'Pending', reason: 'Unschedulable', message, progressing: true });
});

for (const reason of ['ErrImagePull', 'ImagePullBackOff', 'InvalidImageName', 'CreateContainerConfigError']) {
  test(`${reason} is an error at once, with what the kubelet says`, () => {
    const state = podState(container({ state: { waiting: { reason, message: 'no such thing' } } }));
    assert.deepEqual([state.phase, state.reason, state.progressing], ['Error', reason, false]);
    assert.match(state.message, /no such thing/);
  });
}

test('a container that ended is an error before the kubelet calls it a crash loop', () => {
  const state = podState(container({ state: { terminated: { exitCode: 1, reason: 'Error' } } }));
  assert.deepEqual([state.phase, state.reason], ['Error', 'ContainerEnded']);
  assert.match(state.message, /exit code 1/);
});

test('a crash loop tells the last end, out of memory among them', () => {
  const state = podState(
    container({
      state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off 10s restarting' } },
      lastState: { terminated: { exitCode: 137, reason: 'OOMKilled' } },
    }),
  );
  assert.deepEqual([state.phase, state.reason], ['Error', 'CrashLoopBackOff']);
  assert.match(state.message, /OOMKilled, exit code 137/);
});

test('what a container wrote before its end is told without passwords', () => {
  const message = 'cannot connect to\npostgres://app:hunter2@db/x\nDB_PASSWORD=hunter2\n';
  const state = podState(container({ state: { terminated: { exitCode: 1, reason: 'Error', message } } }));
  assert.match(
    state.message,
    /cannot connect to\npostgres:\/\/app:\[secret\]@db\/x\nDB_PASSWORD=\[secret\]$/,
  );
});

test('a container that is being created or starts is under way', () => {
  const creating = podState(container({ state: { waiting: { reason: 'ContainerCreating' } } }));
  assert.deepEqual(
    [creating.phase, creating.reason, creating.progressing],
    ['Provisioning', 'Creating', true],
  );
  const starting = podState(container({ started: false, state: { running: {} } }));
  assert.deepEqual([starting.phase, starting.reason], ['Provisioning', 'Starting']);
});

test('an evicted Pod has ended, a running one has not', () => {
  const evicted = pod({
    phase: 'Failed',
    reason: 'Evicted',
    message: 'The node was low on resource: memory.',
  });
  assert.deepEqual(endOf(evicted), { reason: 'Evicted', message: 'The node was low on resource: memory.' });
  assert.equal(endOf(pod({ phase: 'Running' })), null);
});

test('a resize that the node can not carry out is told', () => {
  const conditions = [
    { type: 'PodResizePending', status: 'True', reason: 'Infeasible', message: 'Node has 2 CPUs' },
  ];
  assert.match(resizeTrouble(pod({ conditions })) ?? '', /infeasible: Node has 2 CPUs/);
  assert.equal(resizeTrouble(pod({ conditions: [] })), null);
});

test('a limit below the memory that is in use is told, which the kubelet tries until less is', () => {
  const message = 'cannot decrease memory limits: attempting to set it below current usage';
  const inProgress = (reason?: string) =>
    pod({
      conditions: [
        { type: 'PodResizeInProgress', status: 'True', message, ...(reason === undefined ? {} : { reason }) },
      ],
    });
  assert.match(resizeTrouble(inProgress('Error')) ?? '', /below current usage \(it is tried again\)/);
  assert.equal(resizeTrouble(inProgress()), null);
});
