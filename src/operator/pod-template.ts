/** Laying `podTemplate` over a Pod. What it may not ask for is said in policy/pod-template.ts. @module */

import { isMap } from '../json.ts';
import { pathText } from '../policy/finding.ts';
import { securityContextProblems } from '../policy/pod-template.ts';
import { canonical } from '../terminal/canonical.ts';

type Map = Readonly<Record<string, unknown>>;

/** By which field entries of a list belong together, as in a strategic merge; lists not named here are replaced. */
const mergeKeys: Readonly<Record<string, string>> = {
  containers: 'name',
  initContainers: 'name',
  volumes: 'name',
  env: 'name',
  volumeMounts: 'mountPath',
  imagePullSecrets: 'name',
  hostAliases: 'ip',
};

/** Of these an entry is taken whole: a variable has a value, or a place where it comes from, and never both. */
const replaced: ReadonlySet<string> = new Set(['env']);

/** Maps are merged, lists of named things by name, null removes a field, everything else is replaced. */
export function overlay(base: unknown, over: unknown, field = ''): unknown {
  if (isMap(base) && isMap(over)) {
    const result: Record<string, unknown> = { ...base };
    for (const [name, value] of Object.entries(over)) {
      if (value === null) delete result[name];
      else result[name] = name in base ? overlay(base[name], value, name) : value;
    }
    return result;
  }
  const key = mergeKeys[field];
  if (key !== undefined && Array.isArray(base) && Array.isArray(over))
    return overlayList(base, over, key, field);
  return over;
}

function overlayList(
  base: readonly unknown[],
  over: readonly unknown[],
  key: string,
  field: string,
): readonly unknown[] {
  const nameOf = (item: unknown) => (isMap(item) ? item[key] : undefined);
  const merged = base.map((item) => {
    const match = over.find((other) => nameOf(other) === nameOf(item));
    if (match === undefined) return item;
    return replaced.has(field) ? match : overlay(item, match);
  });
  const added = over.filter((item) => !base.some((other) => nameOf(other) === nameOf(item)));
  return [...merged, ...added];
}

/**
 * What is wrong with a security context that a Terminal lays over the default, in sentences. It may ask for no more than one
 * in podTemplate, but for what the configuration says itself, which the orchestrator writes into its Terminals.
 */
export function contextProblems(context: Map | undefined, field: string, configured: Map): readonly string[] {
  const own = Object.entries(context ?? {}).filter(
    ([name, value]) => canonical(value) !== canonical(configured[name]),
  );
  return securityContextProblems(Object.fromEntries(own), [field], 'a terminal ').map(
    ({ path, message }) => `${pathText(path)}: ${message}`,
  );
}
