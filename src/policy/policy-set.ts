/**
 * Files → the policy set: every document checked, the last good version kept where one is broken.
 * @module
 */
import { createHash } from 'node:crypto';
import type { PolicyId } from '../terminal/terminal.ts';
import { checkMeaning, type Finding, matches, type PolicyBounds } from './check.ts';
import { type ParsedDocument, parseFile } from './document.ts';
import type {
  Place,
  Policy,
  PolicySet,
  PolicySpec,
  Problem,
  SourceFile,
  SourceUnavailable,
} from './policy.ts';
import { checkStructure } from './schema.ts';

/** What the configuration says about policies. */
export interface PolicyRules extends PolicyBounds {
  /** Comes before the schema's own defaults. */
  readonly defaults: { readonly image?: string; readonly idleTimeoutMinutes?: number };
  /** In force where no file declares a `default`. */
  readonly builtin: Policy;
}

/** Of a document; a large file that is no policy at all would have thousands. */
const mostProblems = 100;
const rank = { error: 0, warning: 1 } as const;

/** What a file says: its good policies, the names of its broken ones, and whether some of its text could not be read. */
interface FileReading {
  readonly path: string;
  readonly policies: readonly Policy[];
  readonly brokenNames: ReadonlySet<string>;
  readonly partlyUnreadable: boolean;
  readonly problems: readonly Problem[];
}

/**
 * The policies in force. Deterministic and independent of the files' order. A policy that was in force stays as it was while
 * its file is broken; one whose file (or document) was taken away is gone; a source out of reach changes nothing.
 * @param previous the set in force until now; null at the start
 */
export function buildPolicySet(
  files: readonly SourceFile[] | SourceUnavailable,
  previous: PolicySet | null,
  rules: PolicyRules,
): PolicySet {
  if ('unavailable' in files) return unavailable(files.unavailable, previous, rules);
  const readings = [...files].sort((a, b) => (a.path < b.path ? -1 : 1)).map((file) => readFile(file, rules));
  const problems = readings.flatMap((reading) => reading.problems);
  const policies = new Map<PolicyId, Policy>();

  for (const policy of readings.flatMap((reading) => kept(reading, previous))) {
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
  for (const policy of previous?.policies.values() ?? []) {
    const broken = readings.some(({ brokenNames }) => brokenNames.has(policy.id));
    if (broken && !policies.has(policy.id)) policies.set(policy.id, policy);
  }
  if (!policies.has(rules.builtin.id)) policies.set(rules.builtin.id, rules.builtin);
  return policySet(policies, [...problems, ...ties([...policies.values()])]);
}

function unavailable(reason: string, previous: PolicySet | null, rules: PolicyRules): PolicySet {
  const problem: Problem = {
    file: '(policies)',
    line: 1,
    column: 1,
    severity: 'error',
    path: '',
    message: reason,
    hint:
      previous === null
        ? 'only the built-in default policy is in force'
        : 'the policies in force stay as they are',
  };
  return policySet(previous?.policies ?? new Map([[rules.builtin.id, rules.builtin]]), [problem]);
}

/** A file's good policies, and the last good version of those it has broken. */
function kept(reading: FileReading, previous: PolicySet | null): readonly Policy[] {
  const declared = new Set<string>(reading.policies.map(({ id }) => id));
  const lastGood = [...(previous?.policies.values() ?? [])].filter(
    ({ id, declaredAt }) =>
      declaredAt.file === reading.path &&
      !declared.has(id) &&
      (reading.partlyUnreadable || reading.brokenNames.has(id)),
  );
  return [...reading.policies, ...lastGood];
}

function readFile(file: SourceFile, rules: PolicyRules): FileReading {
  if ('unreadable' in file) {
    const problem = placed(
      { file: file.path, line: 1, column: 1 },
      'error',
      [],
      file.unreadable,
      'make it readable, or move it out of the directory',
    );
    return {
      path: file.path,
      policies: [],
      brokenNames: new Set(),
      partlyUnreadable: true,
      problems: [problem],
    };
  }
  const { documents, problems: unparsed } = parseFile(file.path, file.text);
  const policies: Policy[] = [];
  const brokenNames = new Set<string>();
  const problems: Problem[] = [...unparsed];
  let unnamed = false;
  for (const document of documents) {
    const { policy, problems: found } = readDocument(document, rules);
    problems.push(...found);
    if (policy) policies.push(policy);
    else {
      const name = declaredName(document.content);
      if (name === null) unnamed = true;
      else brokenNames.add(name);
    }
  }
  return {
    path: file.path,
    policies,
    brokenNames,
    partlyUnreadable: unparsed.length > 0 || unnamed,
    problems,
  };
}

function readDocument(
  document: ParsedDocument,
  rules: PolicyRules,
): { policy: Policy | null; problems: readonly Problem[] } {
  const structure = checkStructure(document.content, rules.defaults);
  if (!structure.ok) {
    const errors = structure.errors.map((error): Finding => ({ severity: 'error', ...error }));
    return { policy: null, problems: placedFindings(document, errors) };
  }
  const { spec, findings } = checkMeaning(structure.document, rules);
  const problems = placedFindings(document, findings);
  if (findings.some(({ severity }) => severity === 'error')) return { policy: null, problems };
  const id = structure.document.metadata.name as PolicyId;
  return { policy: { id, spec, declaredAt: document.place([]) }, problems };
}

function declaredName(content: unknown): string | null {
  if (typeof content !== 'object' || content === null || !('metadata' in content)) return null;
  const { metadata } = content;
  if (typeof metadata !== 'object' || metadata === null || !('name' in metadata)) return null;
  return typeof metadata.name === 'string' ? metadata.name : null;
}

/** Errors come before warnings where there are more than anybody reads. */
function placedFindings(document: ParsedDocument, findings: readonly Finding[]): readonly Problem[] {
  const sorted = findings.toSorted((a, b) => rank[a.severity] - rank[b.severity]);
  const said = sorted
    .slice(0, mostProblems)
    .map(({ severity, path, atName, message, hint }) =>
      placed(document.place(path, atName), severity, path, message, hint),
    );
  const more = sorted.at(mostProblems);
  if (more === undefined) return said;
  const message = `there are ${sorted.length - mostProblems} problems more in this document`;
  return [...said, placed(document.place([]), more.severity, [], message, 'mend those that are said first')];
}

function placed(
  place: Place,
  severity: Problem['severity'],
  path: readonly (string | number)[],
  message: string,
  hint: string,
): Problem {
  const text = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`)).join('');
  return { ...place, severity, path: text.replace(/^\./, ''), message, hint };
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

function policySet(policies: ReadonlyMap<PolicyId, Policy>, problems: readonly Problem[]): PolicySet {
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
