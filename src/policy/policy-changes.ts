/**
 * What one policy set changes about another, field by field, fit to be shown to anybody: no value of a variable is in it.
 * @module
 */
import { isDeepStrictEqual } from 'node:util';
import type { FieldChange, PolicyId } from '../terminal/terminal.ts';
import { builtinPolicy } from './builtin.ts';
import type { Policy, PolicySet } from './policy.ts';
import { sameSpec } from './policy-set.ts';

export interface PolicyChange {
  readonly policy: PolicyId;
  readonly change: 'added' | 'changed' | 'removed';
  /** file:line of its declaration, or of its last one. */
  readonly declared: string;
  /** Of an added one: what is not as by default. */
  readonly changes: readonly FieldChange[];
}

/** Every policy that is not the same in both, by name. */
export function policyChanges(before: PolicySet, after: PolicySet): readonly PolicyChange[] {
  const ids = [...new Set([...before.policies.keys(), ...after.policies.keys()])].sort();
  return ids.flatMap((id) => changeOf(before.policies.get(id), after.policies.get(id)) ?? []);
}

function changeOf(before: Policy | undefined, after: Policy | undefined): PolicyChange | null {
  const policy = after ?? before;
  if (policy === undefined) return null;
  const { file, line } = policy.declaredAt;
  const about = { policy: policy.id, declared: `${file}:${line}` };
  if (after === undefined) return { ...about, change: 'removed', changes: [] };
  if (before === undefined) {
    const set = fieldChanges(builtinPolicy({}).spec, after.spec);
    return { ...about, change: 'added', changes: set.map(({ field, to }) => ({ field, from: null, to })) };
  }
  if (sameSpec(before.spec, after.spec)) return null;
  return { ...about, change: 'changed', changes: fieldChanges(before.spec, after.spec) };
}

/** What differs between two specs; lists count as a whole. */
function fieldChanges(before: object, after: object): readonly FieldChange[] {
  const [from, to] = [fieldsOf(before), fieldsOf(after)];
  const fields = [...new Set([...from.keys(), ...to.keys()])].sort();
  return fields
    .filter((field) => !isDeepStrictEqual(from.get(field), to.get(field)))
    .map((field) => {
      const known = from.get(field);
      return {
        field,
        from: shown(field, known, '(set)'),
        to: shown(field, to.get(field), known === undefined ? '(set)' : '(changed)'),
      };
    });
}

/** The values of a spec by their paths; names of variables may have dots, which does not matter here. */
function fieldsOf(part: object, at = ''): Map<string, unknown> {
  const fields = new Map<string, unknown>();
  for (const [name, value] of Object.entries(part)) {
    if (value === undefined) continue;
    const nested = typeof value === 'object' && value !== null && !Array.isArray(value);
    if (!nested) fields.set(`${at}${name}`, value);
    else for (const [path, inner] of fieldsOf(value, `${at}${name}.`)) fields.set(path, inner);
  }
  return fields;
}

/** Of these the values are private, or may hold some that are. */
const hidden = /^(?:env|podTemplate)\./;

/** What holds where a field is absent, in the words of the plan of a terminal, if that is not nothing. */
const whenAbsent: Readonly<Record<string, string>> = { 'egress.allowedDomains': 'any' };

function shown(field: string, value: unknown, word: string): string | null {
  if (value === undefined) return whenAbsent[field] ?? null;
  if (hidden.test(field)) return word;
  if (Array.isArray(value)) return withoutCredentials(value.map(text).join(' ')) || '(empty)';
  return withoutCredentials(text(value));
}

function text(value: unknown): string {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value);
}

/** A URL may hold a password, e.g. of a package that pip gets from Git. */
export function withoutCredentials(shownText: string): string {
  return shownText.replaceAll(/(:\/\/)[^/@\s]+@/g, '$1(hidden)@');
}
