import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fingerprintOf } from '../../src/terminal/desired.ts';
import { planTerminal } from '../../src/terminal/plan.ts';
import { desired, running } from './fixtures.ts';

const openai = { name: 'team-keys', key: 'openai' };

test('where a secret is kept belongs to the revision, and so does what is laid over the Pod', () => {
  const base = desired().revision;
  const changes = [
    { secretEnv: { KEY: openai } },
    { secretEnv: { OTHER: openai } },
    { secretEnv: { KEY: { ...openai, key: 'b' } } },
    { secretEnv: { KEY: { ...openai, name: 'b' } } },
    { podTemplate: { spec: { nodeSelector: { a: 'b' } } } },
    { podTemplate: { spec: { tolerations: [{ key: 'a' }, { key: 'b' }] } } },
    { podTemplate: { spec: { tolerations: [{ key: 'b' }, { key: 'a' }] } } },
    { env: { KEY: 'team-keys/openai' } },
  ].map((change) => desired(change).revision);
  assert.equal(new Set([base, ...changes]).size, changes.length + 1);
});

test('the order of their fields says nothing, nor do they where they are empty', () => {
  const base = desired().revision;
  assert.equal(desired({ secretEnv: {}, podTemplate: {} }).revision, base);
  const one = desired({
    secretEnv: { A: openai, B: openai },
    podTemplate: { metadata: { labels: { a: '1', b: '2' } }, spec: {} },
  });
  const other = desired({
    podTemplate: { spec: {}, metadata: { labels: { b: '2', a: '1' } } },
    secretEnv: { B: { key: 'openai', name: 'team-keys' }, A: openai },
  });
  assert.equal(one.revision, other.revision);
});

test('a fingerprint says where a secret is kept, and nothing of what a Pod is given', () => {
  const podTemplate = { spec: { containers: [{ name: 'helper', env: [{ name: 'A', value: 'private' }] }] } };
  const fingerprint = fingerprintOf(desired({ secretEnv: { KEY: openai }, podTemplate }).workload);
  assert.equal(fingerprint['secretEnv.KEY'], 'team-keys/openai');
  assert.match(fingerprint.podTemplate ?? '', /^[0-9a-f]{16}$/);
  assert.doesNotMatch(JSON.stringify(fingerprint), /private/);
});

test('a plan says from which secret to which, and only that the Pod changes', () => {
  const before = desired({ secretEnv: { KEY: openai }, podTemplate: { metadata: { labels: { a: 'b' } } } });
  const after = desired({
    secretEnv: { KEY: { ...openai, key: 'second' }, NEW: openai },
    podTemplate: { metadata: { labels: { a: 'c' } } },
  });
  const { deferred } = planTerminal({
    desired: after,
    actual: running(before),
    requested: false,
    activity: { lastActivityAt: 0, inFlight: 0 },
    driftedSince: 0,
    windowOpensAt: 0,
    now: 0,
  });
  assert.deepEqual(deferred.find(({ kind }) => kind === 'replace')?.changes, [
    { field: 'podTemplate', from: '(set)', to: '(changed)' },
    { field: 'secretEnv.KEY', from: 'team-keys/openai', to: 'team-keys/second' },
    { field: 'secretEnv.NEW', from: null, to: 'team-keys/openai' },
  ]);
});
