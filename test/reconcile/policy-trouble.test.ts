import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PolicyStatuses } from '../../src/reconcile/policy-status.ts';
import { Templates } from '../../src/reconcile/templates.ts';
import { harness, MemoryPolicies, policyOf } from './harness.ts';

test('what the backend has to say of a policy is among its problems, and the policy is ready all the same', async (t) => {
  const policies = new MemoryPolicies(policyOf(), policyOf({ pipPackages: ['six'] }, 'data'));
  const { reconciler } = await harness(t, { policies });
  const statuses = new PolicyStatuses({
    policies,
    entries: () => reconciler.entries,
    stateOf: (policy) => reconciler.rollouts.stateOf(policy),
    templates: new Templates({}),
    trouble: ({ pipPackages }) => (pipPackages.length > 0 ? 'every start installs them' : null),
  });
  const found = [...statuses.all()].map(([id, { problems, conditions }]) => ({
    id,
    problems: problems.map(({ severity, message }) => `${severity}: ${message}`),
    holds: conditions.find(({ status }) => status === 'True')?.type,
  }));
  assert.deepEqual(found, [
    { id: 'default', problems: [], holds: 'Ready' },
    { id: 'data', problems: ['warning: every start installs them'], holds: 'Ready' },
  ]);
});
