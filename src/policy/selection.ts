/**
 * Identity (and the policy named in the path) → one policy.
 * @module
 */
import { PolicyUnknownError } from '../errors.ts';
import type { PolicyId } from '../terminal/terminal.ts';
import { defaultPolicyId } from './builtin.ts';
import type { Policy, PolicySet } from './policy.ts';

/**
 * The policy named in the path, else `default`.
 * @throws PolicyUnknownError
 */
export function selectPolicy(set: PolicySet, named: string | null): Policy {
  const id = named === null ? defaultPolicyId : (named as PolicyId);
  const policy = set.policies.get(id);
  if (policy === undefined) throw new PolicyUnknownError(id);
  return policy;
}
