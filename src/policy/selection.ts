/**
 * Identity (+ policy named in the path) → one policy, or a refusal with its reason. Pure, and independent of the order in
 * which policies were declared.
 * @module
 */
import { ForbiddenError, PolicyUnknownError, type TerminalsError } from '../errors.ts';
import type { Group } from '../identity/identity.ts';
import type { PolicyId } from '../terminal/terminal.ts';
import { defaultPolicyId } from './builtin.ts';
import { matches } from './check.ts';
import type { Policy, PolicySet } from './policy.ts';

/** What is asked for. */
export interface Asked {
  /** The policy named in the path; null: none. */
  readonly named: string | null;
  /** The caller's groups; null: unknown. */
  readonly groups: readonly Group[] | null;
}

/** May somebody whose groups are unknown use a policy that is for certain groups? */
export type UnknownGroups = 'allow' | 'deny';

/** The answer, and how it was found, a sentence each step. */
export type Selection =
  | { readonly kind: 'selected'; readonly policy: Policy; readonly steps: readonly string[] }
  | { readonly kind: 'unknown'; readonly id: string; readonly steps: readonly string[] }
  | { readonly kind: 'refused'; readonly reason: string; readonly steps: readonly string[] };

/** Selects a policy and says why; the steps name groups and policies, so they are for administrators. */
export function explainSelection(set: PolicySet, asked: Asked, unknownGroups: UnknownGroups): Selection {
  const { named, groups } = asked;
  const seen =
    groups === null ? 'The groups are unknown.' : `The groups are ${listOf(groups.map(groupName))}.`;
  if (named !== null) return byName(set, named, groups, unknownGroups, [seen]);
  const candidates = groups === null ? [] : candidatesFor(set, groups);
  const [first] = candidates;
  if (first === undefined) {
    const none = groups === null ? [] : ['No policy is for one of them.'];
    return byName(set, defaultPolicyId, groups, unknownGroups, [seen, ...none]);
  }
  const ranked = candidates.map(({ id, spec }) => `${id} (priority ${spec.priority})`);
  return {
    kind: 'selected',
    policy: first,
    steps: [seen, `Policies for them: ${listOf(ranked)}.`, `The first of these is taken: ${first.id}.`],
  };
}

/**
 * The policy that the caller may use, at the cost of a look-up where it is named.
 * @throws PolicyUnknownError, ForbiddenError
 */
export function selectPolicy(set: PolicySet, asked: Asked, unknownGroups: UnknownGroups): Policy {
  const policy = selectedPolicy(set, asked, unknownGroups);
  if (policy !== null) return policy;
  throw refusalOf(explainSelection(set, asked, unknownGroups));
}

/**
 * The policy of a request that is nobody's, such as discovery: the one named, else `default`.
 * @throws PolicyUnknownError
 */
export function namedPolicy(set: PolicySet, named: string | null): Policy {
  const id = idOf(named ?? defaultPolicyId);
  const policy = set.policies.get(id);
  if (policy === undefined) throw new PolicyUnknownError(id);
  return policy;
}

/** The same answer as `explainSelection`, without its words: this is on the path of every request. */
function selectedPolicy(
  set: PolicySet,
  { named, groups }: Asked,
  unknownGroups: UnknownGroups,
): Policy | null {
  const byGroup = named === null && groups !== null ? candidatesFor(set, groups)[0] : undefined;
  if (byGroup !== undefined) return byGroup;
  const policy = set.policies.get(idOf(named ?? defaultPolicyId));
  return policy !== undefined && isAllowed(policy, groups, unknownGroups) ? policy : null;
}

function refusalOf(selection: Selection): TerminalsError {
  if (selection.kind === 'unknown') return new PolicyUnknownError(selection.id);
  return new ForbiddenError(
    'No policy here is for you, or not the one that was asked for.',
    'Ask an administrator of Terminals for the group or the policy; "terminals explain" tells them how this was decided.',
  );
}

function byName(
  set: PolicySet,
  name: string,
  groups: readonly Group[] | null,
  unknownGroups: UnknownGroups,
  before: readonly string[],
): Selection {
  const policy = set.policies.get(idOf(name));
  if (policy === undefined) {
    return { kind: 'unknown', id: name, steps: [...before, `There is no policy ${name}.`] };
  }
  const wanted = policy.spec.groups;
  const steps = [
    ...before,
    wanted === undefined
      ? `The policy ${name} is for everybody.`
      : `The policy ${name} is for the groups ${listOf(wanted)}.`,
    ...(wanted !== undefined && groups === null ? [`TERMINALS_UNKNOWN_GROUPS is ${unknownGroups}.`] : []),
  ];
  if (isAllowed(policy, groups, unknownGroups)) {
    return { kind: 'selected', policy, steps: [...steps, `It is taken: ${name}.`] };
  }
  return {
    kind: 'refused',
    reason: `the policy ${name} is for other groups`,
    steps: [...steps, 'It is refused.'],
  };
}

function isAllowed({ spec }: Policy, groups: readonly Group[] | null, unknownGroups: UnknownGroups): boolean {
  if (spec.groups === undefined) return true;
  return groups === null ? unknownGroups === 'allow' : isFor(spec.groups, groups);
}

/** Whether one of the groups is meant by one of the patterns, by name or by id. */
function isFor(patterns: readonly string[], groups: readonly Group[]): boolean {
  return groups.some(({ id, name }) =>
    patterns.some((pattern) => matches(pattern, name) || (id !== null && matches(pattern, id))),
  );
}

/** The policies for these groups, the one to take first. */
function candidatesFor({ policies }: PolicySet, groups: readonly Group[]): readonly Policy[] {
  const found = [...policies.values()].filter(
    ({ spec }) => spec.groups !== undefined && isFor(spec.groups, groups),
  );
  return found.sort((a, b) => b.spec.priority - a.spec.priority || (a.id < b.id ? -1 : 1));
}

/** What is in the path is an id only if there is a policy of that name. */
function idOf(name: string): PolicyId {
  return name as PolicyId;
}

function groupName({ id, name }: Group): string {
  return id === null || id === name ? name : `${name} (${id})`;
}

function listOf(items: readonly string[]): string {
  return items.length === 0 ? 'none' : items.join(', ');
}
