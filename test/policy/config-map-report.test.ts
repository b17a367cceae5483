/** What is told on a ConfigMap when writing fails, and when another process told before; the cluster's part is elsewhere. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConfigMap, KubeObject } from '../../src/kubernetes/objects.ts';
import { builtinPolicy } from '../../src/policy/builtin.ts';
import { ConfigMapReport, type News, statusAnnotation } from '../../src/policy/config-map-report.ts';
import type { Policy, Standing } from '../../src/policy/policy.ts';
import type { PolicyId } from '../../src/terminal/terminal.ts';
import { quiet } from '../operator/cluster.ts';
import { turns } from '../reconcile/harness.ts';

const id = 'team' as PolicyId;
const policy: Policy = {
  ...builtinPolicy({ image: 'open-terminal:1' }),
  id,
  declaredAt: { file: 'configmap/policies/team.yaml', line: 1, column: 1 },
};

function mapWith(status?: string): ConfigMap {
  const annotations = status === undefined ? {} : { [statusAnnotation]: status };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'policies', namespace: 'n', annotations } };
}

function news(type: Standing['type'], message = '', lastTransitionTime = '2030-01-01T00:00:00Z'): News {
  const reason = { Ready: 'UpToDate', Reconciling: 'RollingOut', Stalled: 'RolloutFailed' }[type];
  return {
    set: { revision: 'r', policies: new Map([[id, policy]]), problems: [] },
    standings: new Map([[id, { type, reason, message, lastTransitionTime }]]),
  };
}

function reporter() {
  const said: string[] = [];
  const written: string[] = [];
  const state = { leads: true, up: true };
  const request = async <T>(
    _method: string,
    _path: string,
    options?: { readonly body?: unknown },
  ): Promise<T> => {
    if (!state.up) throw new Error('the API server is away');
    written.push(Object(options?.body).metadata.annotations[statusAnnotation]);
    return JSON.parse('{}');
  };
  const report = new ConfigMapReport({
    client: { request },
    events: {
      record: (_about: KubeObject, type, reason, message) => said.push(`${type} ${reason} ${message}`),
      forget: () => undefined,
    },
    leads: () => state.leads,
    log: quiet,
  });
  return { report, said, written, state };
}

test('what could not be written is written at the next look, and its Event is said once', async () => {
  const { report, said, written, state } = reporter();
  state.up = false;
  for (let look = 0; look < 3; look += 1) {
    report.tell(mapWith(), news('Stalled', 'it ended'), undefined);
    await turns(2);
  }
  assert.deepEqual([said, written], [['Warning RolloutFailed policy team is Stalled: it ended'], []]);
  state.up = true;
  report.tell(mapWith(), news('Stalled', 'it ended'), undefined);
  await turns(2);
  report.tell(mapWith(), news('Stalled', 'it ended'), undefined);
  await turns(2);
  assert.deepEqual([said.length, written.length], [1, 1]);
});

test('who leads next goes on from the annotation: the same is no news, nor is since when', async () => {
  const first = reporter();
  first.report.tell(mapWith(), news('Stalled', 'it ended'), 'asked');
  await turns(2);
  const [text = ''] = first.written;
  const next = reporter();
  next.report.tell(mapWith(text), news('Stalled', 'it ended', '2031-01-01T00:00:00Z'), 'asked');
  await turns(2);
  assert.deepEqual([next.said, next.written], [[], []]);
  next.report.tell(mapWith(text), news('Ready', 'all as declared'), 'asked');
  await turns(2);
  assert.deepEqual(next.said, ['Normal UpToDate policy team is Ready: all as declared']);
  assert.equal(JSON.parse(next.written[0] ?? '').lastHandledReconcileAt, 'asked');
});

test('before anything is known of a policy, what was told of it stays', async () => {
  const first = reporter();
  first.report.tell(mapWith(), news('Stalled', 'it ended'), undefined);
  await turns(2);
  const [text = ''] = first.written;
  const next = reporter();
  next.report.tell(mapWith(text), { ...news('Ready'), standings: new Map() }, undefined);
  await turns(2);
  assert.deepEqual([next.said, next.written], [[], []]);
});

test('one that does not lead tells nothing', async () => {
  const { report, said, written, state } = reporter();
  state.leads = false;
  report.tell(mapWith(), news('Stalled', 'it ended'), undefined);
  await turns(2);
  assert.deepEqual([said, written], [[], []]);
});

test('counts that come and go with terminals are no news; an annotation of somebody else is written over', async () => {
  const { report, said, written } = reporter();
  report.tell(mapWith('{"theirs": true}'), news('Ready', '1 of 1 terminal as declared'), undefined);
  await turns(2);
  report.tell(mapWith('{"theirs": true}'), news('Ready', '2 of 2 terminals as declared'), undefined);
  await turns(2);
  assert.deepEqual([said, written.length], [[], 1]);
});
