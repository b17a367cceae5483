/**
 * Files → the policy set: the last good version is kept where a document, or one that it inherits from, is broken.
 * @module
 */
import { createHash } from 'node:crypto';
import type { PolicyId } from '../terminal/terminal.ts';
import { isBuiltin } from './builtin.ts';
import { matches, type PolicyBounds } from './check.ts';
import { Composer } from './compose.ts';
import { undeclaredDefault } from './default-policy.ts';
import { folderDefaults } from './folder-defaults.ts';
import { heldIn, mayHaveMoved, sayHeld, unreadOf } from './moved.ts';
import type {
  Policy,
  PolicyDefaults,
  PolicySet,
  PolicySpec,
  Problem,
  SourceFile,
  SourceUnavailable,
} from './policy.ts';
import { placed, type Said, sayOnce } from './problems.ts';
import { type FileReading, readSourceFile } from './reading.ts';

/** What the configuration says about policies. */
export interface PolicyRules extends PolicyBounds {
  /** Comes before the schema's own defaults. */
  readonly defaults: PolicyDefaults;
  /** In force where no file declares a `default`, and none may. */
  readonly builtin: Policy;
}

/**
 * The policies in force. Deterministic and independent of the files' order. A policy that was in force stays as it was while
 * its file, or one that it inherits from, is broken; one whose file (or document) was taken away is gone; a source out of
 * reach changes nothing. The built-in `default` is there only where it is certain that no file declares another one.
 * @param previous the set in force until now; null at the start
 */
export function buildPolicySet(
  files: readonly SourceFile[] | SourceUnavailable,
  previous: PolicySet | null,
  rules: PolicyRules,
): PolicySet {
  if ('unavailable' in files) return outOfReach(files, previous, rules);
  const readings = [...files].sort((a, b) => (a.path < b.path ? -1 : 1)).map(readSourceFile);
  const said = readings.flatMap((reading) => reading.said);
  const folder = folderDefaults(readings, previous);
  const composer = new Composer({
    drafts: Map.groupBy(
      readings.flatMap(({ drafts }) => drafts),
      ({ id }) => id,
    ),
    inForce: (id) => previous?.policies.get(id as PolicyId)?.declaredAt.file,
    defaults: folder.defaults ?? null,
    rules,
  });
  const composed = readings.map((reading) => composeFile(reading, composer, folder.defaults === null));
  const { policies, problems: chosen, held } = choose(composed, previous);
  held.push([null, folder.held]);
  const declared = new Set(composed.flatMap((one) => one.policies));
  const all = [...said, ...composed.flatMap((one) => one.said)];
  if (!policies.has(rules.builtin.id)) {
    const known = folder.defaults === null ? null : composer;
    const found = undeclaredDefault({ readings, composer: known, previous, mode: rules.mode });
    if (found.policy !== null) policies.set(found.policy.id, found.policy);
    if (found.policy !== null && !found.isLast) declared.add(found.policy);
    all.push(...found.said);
    held.push([rules.builtin.id, found.doubtful]);
  }
  const problems = [...sayOnce(all), ...folder.problems, ...chosen, ...ties([...policies.values()])];
  const lastGood = [...policies.values()].filter(
    (policy) => !declared.has(policy) && previous?.policies.get(policy.id) === policy,
  );
  const unread = unreadOf(readings, held);
  return {
    ...policySet(policies, problems),
    lastGood: new Set(lastGood.map(({ id }) => id)),
    ...(unread === undefined ? {} : { unread }),
    ...(folder.defaults === undefined ? {} : { defaults: folder.defaults }),
  };
}

/** A file's policies once they are checked as a whole. */
interface ComposedFile extends Pick<FileReading, 'path' | 'partlyUnreadable' | 'isEmpty'> {
  readonly policies: readonly Policy[];
  readonly brokenNames: ReadonlySet<string>;
  readonly said: readonly Said[];
}

/** @param without the defaults are broken and never were good: nothing can be said of any policy */
function composeFile(reading: FileReading, composer: Composer, without: boolean) {
  const { path, drafts, partlyUnreadable, isEmpty } = reading;
  const turned = without ? [] : drafts.map((draft) => composer.of(draft));
  const policies = turned.flatMap(({ policy }) => policy ?? []);
  const good = new Set<string>(policies.map(({ id }) => id));
  const file: ComposedFile = {
    path,
    policies,
    brokenNames: new Set(drafts.map(({ id }) => id).filter((id) => !good.has(id))),
    partlyUnreadable,
    isEmpty,
    said: turned.flatMap(({ said }) => said),
  };
  return file;
}

/** Of each name the policy that is in force: a good one, or the last good version of one that is broken. */
function choose(files: readonly ComposedFile[], previous: PolicySet | null) {
  const policies = new Map<PolicyId, Policy>();
  const problems: Problem[] = [];
  const held: [PolicyId | null, readonly string[]][] = [];
  for (const policy of files.flatMap((file) => kept(file, previous))) {
    const other = policies.get(policy.id);
    if (other === undefined) {
      policies.set(policy.id, policy);
      continue;
    }
    // The one that was in force keeps the name, else the first in the order of paths and lines.
    const inForce = previous?.policies.get(policy.id)?.declaredAt.file;
    const takesOver = inForce === policy.declaredAt.file && inForce !== other.declaredAt.file;
    if (takesOver) policies.set(policy.id, policy);
    problems.push(duplicate(takesOver ? other : policy, takesOver ? policy : other));
  }
  // A file that was renamed and broken at once has its last good version under the old path.
  const moved = mayHaveMoved(files, previous);
  for (const policy of previous?.policies.values() ?? []) {
    const { id, declaredAt } = policy;
    if (policies.has(id) || isBuiltin(policy)) continue;
    const broken = files.some(({ brokenNames }) => brokenNames.has(id));
    const places = broken ? [] : moved(id, declaredAt.file);
    if (broken || places.length > 0) policies.set(id, policy);
    held.push([id, places]);
    problems.push(...sayHeld(id, declaredAt.file, places));
  }
  return { policies, problems, held };
}

function outOfReach(
  { unavailable, absent }: SourceUnavailable,
  previous: PolicySet | null,
  rules: PolicyRules,
): PolicySet {
  const before = previous?.policies ?? new Map<PolicyId, Policy>();
  const known = [...before.values()].some((policy) => !isBuiltin(policy));
  const nobodyDeclared = absent === true && !known && heldIn(rules.builtin.id, previous).length === 0;
  const builtin = nobodyDeclared || previous?.builtinBefore ? builtinUnder(previous?.defaults, rules) : [];
  const last = new Map([...before, ...builtin.map((policy) => [policy.id, policy] as const)]);
  const hint = nobodyDeclared
    ? 'only the built-in default policy is in force'
    : last.size > 0
      ? 'the policies in force stay as they are'
      : 'no policy is in force until it can be read';
  const place = { file: '(policies)', line: 1, column: 1 };
  const problem = placed(place, 'error', [], unavailable, hint);
  const set = {
    ...policySet(last, [problem]),
    lastGood: previous?.lastGood ?? new Set<PolicyId>(),
    ...(previous?.unread === undefined ? {} : { unread: previous.unread }),
  };
  const defaults = previous === null ? null : previous.defaults;
  return defaults === undefined ? set : { ...set, defaults };
}

/** The built-in policy as the configuration says it now; none where it does not go with the defaults. */
function builtinUnder(defaults: PolicySet['defaults'], rules: PolicyRules): readonly Policy[] {
  const composer = new Composer({
    drafts: new Map(),
    inForce: () => undefined,
    defaults: defaults ?? null,
    rules,
  });
  const { policy } = composer.builtin();
  return policy === null ? [] : [policy];
}

/** A file's good policies, and the last good version of those it has broken. */
function kept(file: ComposedFile, previous: PolicySet | null): readonly Policy[] {
  const declared = new Set<string>(file.policies.map(({ id }) => id));
  const lastGood = [...(previous?.policies.values() ?? [])].filter(
    ({ id, declaredAt }) =>
      declaredAt.file === file.path &&
      !declared.has(id) &&
      (file.partlyUnreadable || file.brokenNames.has(id)),
  );
  return [...file.policies, ...lastGood];
}

function duplicate(loser: Policy, winner: Policy): Problem {
  const { file, line } = winner.declaredAt;
  return placed(
    loser.declaredAt,
    'error',
    ['metadata', 'name'],
    `the policy "${loser.id}" is declared twice; the one at ${file}:${line} is in force`,
    'rename one of the two, or delete it',
  );
}

/** Members of both groups get the first by name, which may surprise who wrote the other. */
function ties(policies: readonly Policy[]): readonly Problem[] {
  const sorted = policies.filter(({ spec }) => spec.groups).sort((a, b) => (a.id < b.id ? -1 : 1));
  return sorted.flatMap((policy, index) => {
    const first = sorted.slice(0, index).find((other) => isTie(other, policy));
    if (first === undefined) return [];
    const message = `"${first.id}" is for the same groups with the same priority, and comes first by its name`;
    const hint = 'give one of the two a higher priority';
    return [placed(policy.declaredAt, 'warning', ['spec', 'groups'], message, hint)];
  });
}

function isTie({ spec: a }: Policy, { spec: b }: Policy): boolean {
  if (a.priority !== b.priority) return false;
  return (a.groups ?? []).some((one) =>
    (b.groups ?? []).some((other) => matches(one, other) || matches(other, one)),
  );
}

/** A set without more than its policies and what is wrong; sorted, with its revision. */
export function policySet(policies: ReadonlyMap<PolicyId, Policy>, problems: readonly Problem[]): PolicySet {
  const sorted = new Map([...policies].sort(([a], [b]) => (a < b ? -1 : 1)));
  const byPlace = (a: Problem, b: Problem) =>
    a.file === b.file ? a.line - b.line || a.column - b.column : a.file < b.file ? -1 : 1;
  return { revision: revisionOf(sorted), policies: sorted, problems: [...problems].sort(byPlace) };
}

/** Places don't count: moving a policy in its file changes nothing. */
function revisionOf(policies: ReadonlyMap<PolicyId, Policy>): string {
  const canonical = [...policies].map(([id, { spec }]) => [id, sortedFields(spec)]);
  return createHash('sha256').update(JSON.stringify(canonical)).digest('hex').slice(0, 16);
}

/** Whether two specs say the same, whatever the order of their fields. */
export function sameSpec(a: PolicySpec, b: PolicySpec): boolean {
  return JSON.stringify(sortedFields(a)) === JSON.stringify(sortedFields(b));
}

function sortedFields(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortedFields);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([name, part]) => [name, sortedFields(part)]);
}
