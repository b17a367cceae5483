/** Findings with their places, as problems for people. @module */
import type { Finding } from './check.ts';
import { pathText } from './finding.ts';
import type { Place, Problem } from './policy.ts';

/** Of a document; a large file that is no policy at all would have thousands. */
const mostProblems = 100;
const mostHeirs = 3;
const rank = { error: 0, warning: 1 } as const;

/** A problem, and the policy that has it by inheritance; null: the one that stands at this very place. */
export interface Said {
  readonly problem: Problem;
  readonly heir: string | null;
}

/** Where a finding stands, and whether that is in another document than the policy's own. */
export type Locate = (finding: Pick<Finding, 'path' | 'atName'>) => {
  readonly place: Place;
  readonly inherited: boolean;
};

/** Errors come before warnings where there are more than anybody reads. */
export function sayFindings(findings: readonly Finding[], id: string, locate: Locate): readonly Said[] {
  const sorted = findings.toSorted((a, b) => rank[a.severity] - rank[b.severity]);
  const said = sorted.slice(0, mostProblems).map((finding): Said => {
    const { severity, path, message, hint } = finding;
    const { place, inherited } = locate(finding);
    return { problem: placed(place, severity, path, message, hint), heir: inherited ? id : null };
  });
  const more = sorted.at(mostProblems);
  if (more === undefined) return said;
  const message = `there are ${sorted.length - mostProblems} problems more in this document`;
  const { place } = locate({ path: [] });
  const hint = 'mend those that are said first';
  return [...said, { problem: placed(place, more.severity, [], message, hint), heir: null }];
}

export function placed(
  place: Place,
  severity: Problem['severity'],
  path: readonly (string | number)[],
  message: string,
  hint: string,
): Problem {
  return { ...place, severity, path: pathText(path), message, hint };
}

/** Every problem once: what many policies inherit stands at one place, and names them. */
export function sayOnce(all: readonly Said[]): readonly Problem[] {
  const groups = new Map<string, { readonly problem: Problem; readonly heirs: Set<string>; own: boolean }>();
  for (const { problem, heir } of all) {
    const key = JSON.stringify(problem);
    const group = groups.get(key) ?? { problem, heirs: new Set(), own: false };
    if (heir === null) group.own = true;
    else group.heirs.add(heir);
    groups.set(key, group);
  }
  return [...groups.values()].map(({ problem, heirs, own }) =>
    own ? problem : { ...problem, message: `${problem.message}, which ${named([...heirs].sort())}` },
  );
}

function named(heirs: readonly string[]): string {
  const shown = heirs.slice(0, mostHeirs).map((heir) => `"${heir}"`);
  const rest = heirs.length - shown.length;
  const all = [...shown, ...(rest > 0 ? [`${rest} more`] : [])];
  const last = all.pop();
  const list = all.length === 0 ? last : `${all.join(', ')} and ${last}`;
  return `${list} ${heirs.length === 1 ? 'inherits' : 'inherit'}`;
}
