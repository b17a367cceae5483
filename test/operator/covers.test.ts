import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serviceOf, volumeClaimOf } from '../../src/operator/children.ts';
import { covers, isAsWanted } from '../../src/operator/covers.ts';
import { operatorDefaults } from '../../src/operator/defaults.ts';
import { ownershipOf } from '../../src/operator/ownership.ts';
import { terminal } from './fixtures.ts';

test('defaults that the API server added need no write; another value, a missing or an added entry does', () => {
  const wanted = { a: 1, list: [{ name: 'x', port: 1 }] };
  assert.equal(covers({ a: 1, b: 2, list: [{ name: 'x', port: 1, nodePort: 0 }] }, wanted), true);
  assert.equal(covers({ a: 2, list: wanted.list }, wanted), false);
  assert.equal(covers({ a: 1 }, wanted), false);
  assert.equal(covers({ a: 1, list: [...wanted.list, { name: 'y' }] }, wanted), false);
});

test('an empty list is the same as none, since the API server leaves it out', () => {
  assert.equal(covers({}, { egress: [] }), true);
  assert.equal(covers({ egress: [{}] }, { egress: [] }), false);
});

test('labels and owners that others add are left alone', () => {
  const owner = terminal();
  const wanted = serviceOf(owner);
  const other = { apiVersion: 'v1', kind: 'ConfigMap', name: 'x', uid: 'other' };
  const { labels, ownerReferences = [] } = wanted.metadata;
  const actual = {
    ...wanted,
    metadata: {
      ...wanted.metadata,
      labels: { ...labels, more: 'x' },
      ownerReferences: [other, ...ownerReferences],
    },
  };
  assert.equal(isAsWanted(actual, wanted, owner), true);
  assert.equal(isAsWanted({ ...actual, metadata: { ...actual.metadata, labels: {} } }, wanted, owner), false);
});

test('a home that is to be retained needs a write while its Terminal owns it', () => {
  const owned = volumeClaimOf(terminal(), operatorDefaults);
  const retaining = terminal({ spec: { persistence: { retain: true } } });
  const wanted = volumeClaimOf(retaining, operatorDefaults, owned);
  assert.equal(isAsWanted(owned, wanted, retaining), false);
  assert.equal(isAsWanted(wanted, wanted, retaining), true);
});

test('a home never shrinks and keeps its class', () => {
  const existing = volumeClaimOf(
    terminal({ spec: { persistence: { size: '5Gi', storageClass: 'fast' } } }),
    operatorDefaults,
  );
  const wanted = volumeClaimOf(
    terminal({ spec: { persistence: { size: '1Gi', storageClass: 'slow' } } }),
    operatorDefaults,
    existing,
  );
  assert.deepEqual(wanted.spec, existing.spec);
});

test('whose an object is: ours, a deleted namesake’s, a kept home, or foreign', () => {
  const mine = terminal();
  const service = serviceOf(mine);
  assert.equal(ownershipOf(service, mine), 'ours');
  assert.equal(ownershipOf(service, terminal({ metadata: { uid: 'new' } })), 'leaving');
  const { ownerReferences: _owners, ...unowned } = service.metadata;
  assert.equal(ownershipOf({ ...service, metadata: unowned }, mine), 'foreign');
  const retaining = terminal({ spec: { persistence: { retain: true } } });
  const kept = volumeClaimOf(retaining, operatorDefaults);
  assert.equal(ownershipOf(kept, retaining), 'kept');
  assert.equal(ownershipOf(kept, terminal({ spec: { userId: 'bob' } })), 'foreign');
});
