import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { StartFailedError } from '../../src/errors.ts';
import { policyText } from '../policy/fixtures.ts';
import { send } from '../proxy/stack.ts';
import { keyOf, patient, until } from '../reconcile/harness.ts';
import { type AdminStack, adminStack, asAdmin, sharedKey } from './admin.ts';

const asAlice = { authorization: `Bearer ${sharedKey}`, 'x-user-id': 'alice' };

async function metricsOf({ port }: AdminStack): Promise<string> {
  const { status, headers, body } = await send({ port }, '/metrics', { headers: asAdmin });
  assert.equal(status, 200, body);
  assert.match(String(headers['content-type']), /^text\/plain; version=0\.0\.4/);
  return body;
}

/** The value of one series, as it is written; null: there is none. */
function seriesOf(text: string, series: string): number | null {
  const line = text.split('\n').find((each) => each.startsWith(`${series} `));
  return line === undefined ? null : Number(line.slice(series.length + 1));
}

test('are for administrators; where a user is named the path is the terminal’s', async (t) => {
  const stack = await adminStack(t);
  await metricsOf(stack);
  assert.equal((await send(stack, '/metrics', { headers: {} })).status, 401);
  const asUser = { authorization: `Bearer ${sharedKey}` };
  assert.equal((await send(stack, '/metrics', { headers: asUser })).status, 403);
  const toTerminal = await send(stack, '/metrics', { headers: asAlice });
  assert.equal(toTerminal.status, 502, 'alice’s terminal takes no connection here');
});

test('count requests by the class of their status, with their durations', async (t) => {
  const stack = await adminStack(t);
  await send(stack, '/files', { headers: asAlice });
  await send(stack, '/files', { headers: {} });
  await send(stack, '/files', { headers: {} });
  const text = await metricsOf(stack);
  assert.equal(seriesOf(text, 'terminals_requests_total{status="5xx"}'), 1);
  assert.equal(seriesOf(text, 'terminals_requests_total{status="4xx"}'), 2);
  assert.equal(seriesOf(text, 'terminals_request_duration_seconds_count'), 3);
  assert.equal(seriesOf(text, 'terminals_request_duration_seconds_bucket{le="60"}'), 3);
});

test('show terminals by policy and phase, starts by outcome, and what was done', async (t) => {
  const stack = await adminStack(t, { files: { 'data.yaml': policyText('data') } });
  await stack.run('alice', 'data');
  await stack.run('bob');
  const failure = new StartFailedError('It is broken.', 'Mend it.');
  stack.backend.inject('create', { before: () => Promise.reject(failure) });
  await assert.rejects(async () => stack.program.reconciler.reach(keyOf('carol'), patient));
  const text = await metricsOf(stack);
  assert.equal(seriesOf(text, 'terminals_terminals{policy="data",phase="Running"}'), 1);
  assert.equal(seriesOf(text, 'terminals_terminals{policy="default",phase="Running"}'), 1);
  assert.equal(seriesOf(text, 'terminals_starts_total{outcome="ok"}'), 2);
  assert.equal(seriesOf(text, 'terminals_starts_total{outcome="start-failed"}'), 1);
  assert.equal(seriesOf(text, 'terminals_start_duration_seconds_count'), 2);
  assert.equal(seriesOf(text, 'terminals_actions_total{action="create"}'), 2);
  assert.equal(seriesOf(text, 'terminals_policy_terminals{policy="data",state="available"}'), 1);
});

test('show the conditions of each policy, and nothing of one that is gone', async (t) => {
  const stack = await adminStack(t, {
    env: { TERMINALS_POLICY_WRITES: 'true' },
    files: { 'data.yaml': policyText('data') },
  });
  await stack.run('alice', 'data');
  const before = await metricsOf(stack);
  for (const [type, value] of [
    ['Ready', 1],
    ['Reconciling', 0],
    ['Stalled', 0],
  ] as const) {
    assert.equal(seriesOf(before, `terminals_policy_condition{policy="data",type="${type}"}`), value);
  }
  await stack.call('DELETE', '/policies/data');
  assert.doesNotMatch(await metricsOf(stack), /terminals_policy_\w+\{policy="data"/);
});

test('count what was changed by hand, which stands in the audit log, too', async (t) => {
  const stack = await adminStack(t, { env: { TERMINALS_AUDIT_LOG: 'audit.jsonl' } });
  const terminal = await stack.run('alice');
  stack.backend.outside(terminal.key, { ...terminal, limits: { ...terminal.limits, memoryBytes: 1 } });
  await until(() => stack.lines.some(({ msg }) => msg === 'drift'), 'it is found');
  assert.equal(seriesOf(await metricsOf(stack), 'terminals_drift_total{kind="limits"}'), 1);
  const lines = (await readFile(`${stack.cwd}/audit.jsonl`, 'utf8')).trim().split('\n');
  const drift = lines.map((line) => JSON.parse(line)).find(({ event }) => event === 'drift');
  assert.deepEqual([drift.user, drift.kind, drift.terminal], ['alice', 'limits', terminal.name]);
  assert.deepEqual(drift.changes, [{ field: 'resources.limits.memory', from: '1', to: '1024Mi' }]);
});

test('name no user, no path and no terminal', async (t) => {
  const stack = await adminStack(t);
  const { name } = await stack.run('alice');
  await send(stack, '/files/secret-plans.txt', { headers: asAlice });
  const text = await metricsOf(stack);
  for (const word of ['alice', 'secret-plans', name]) assert.ok(!text.includes(word), word);
});

test('are those that docs/metrics.md lists, of the types that it says', async (t) => {
  const text = await metricsOf(await adminStack(t));
  const shown = [...text.matchAll(/^# TYPE (terminals_\w+) (\w+)$/gm)].map(([, name, type]) => [name, type]);
  const page = await readFile(new URL('../../docs/metrics.md', import.meta.url), 'utf8');
  const listed = [...page.matchAll(/^\| `(terminals_\w+)` \| (\w+) \|/gm)].map(([, name, type]) => [
    name,
    type,
  ]);
  assert.ok(shown.length > 10);
  assert.deepEqual(listed.toSorted(), shown.toSorted());
  assert.match(text, /^process_resident_memory_bytes /m);
  assert.match(text, /^nodejs_eventloop_lag_p99_seconds /m);
});
