import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Templates } from '../../src/reconcile/templates.ts';
import { steady } from '../terminal/fixtures.ts';
import { policyOf } from './harness.ts';

const limits = (cpu: string, memory: string) => ({
  requests: { cpu: '100m', memory: '256Mi' },
  limits: { cpu, memory, pids: 512 },
});

test('a policy is rendered once: the same spec gives the same object', () => {
  const templates = new Templates({});
  const policy = policyOf();
  assert.equal(templates.of(policy), templates.of(policy));
  assert.equal(templates.of({ ...policy }), templates.of(policy));
});

test('equal policies have one revision, and so have those that differ in what changes in place', () => {
  const templates = new Templates({});
  const { revision } = templates.of(policyOf());
  assert.equal(templates.of(policyOf()).revision, revision);
  assert.equal(templates.of(policyOf({}, 'other')).revision, revision);
  assert.equal(templates.of(policyOf({ resources: limits('4', '8Gi') })).revision, revision);
  assert.equal(templates.of(policyOf({ idleTimeoutMinutes: 1, suspend: true })).revision, revision);
  assert.notEqual(templates.of(policyOf({ image: 'open-terminal:2' })).revision, revision);
});

test("the backend's own configuration is part of the revision", () => {
  const policy = policyOf();
  const plain = new Templates({}).of(policy).revision;
  const other = new Templates({ networks: 'backend' }).of(policy).revision;
  assert.notEqual(other, plain);
  assert.equal(new Templates({ networks: 'backend' }).of(policy).revision, other);
});

test('quantities become numbers, and minutes milliseconds', () => {
  const template = new Templates({}).of(
    policyOf({
      resources: limits('1500m', '1Gi'),
      idleTimeoutMinutes: 30,
      contextRetentionDays: 30,
      rollout: { ...steady, when: 'idle', idleAfterMinutes: 5, maxDelayMinutes: 60 },
    }),
  );
  assert.deepEqual(template.limits, { cpuMillis: 1500, memoryBytes: 1_073_741_824, pids: 512 });
  assert.equal(template.idleTimeoutMs, 1_800_000);
  assert.deepEqual(template.rollout, {
    when: 'idle',
    idleAfterMs: 300_000,
    maxDelayMs: 3_600_000,
    maxUnavailable: { count: 0, share: 0.1 },
    pauseOnFailures: 3,
    window: null,
  });
});

test('a start that installs packages has more time, unless the policy says how much', () => {
  const templates = new Templates({});
  assert.equal(templates.of(policyOf()).startTimeoutMs, 15_000);
  assert.equal(templates.of(policyOf({ packages: ['jq'] })).startTimeoutMs, 300_000);
  assert.equal(templates.of(policyOf({ pipPackages: ['pandas'] })).startTimeoutMs, 300_000);
  assert.equal(templates.of(policyOf({ packages: ['jq'], startTimeoutSeconds: 7 })).startTimeoutMs, 7_000);
});
