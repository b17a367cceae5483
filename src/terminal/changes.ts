/** What differs between a terminal and its policy, field by field, in words. Pure. @module */
import { fingerprintOf, settingsOf } from './desired.ts';
import type { Actual, FieldChange, Limits, Settings, Template, WorkloadFingerprint } from './terminal.ts';

/** What differs between the workload a terminal was made from and the declared one. */
export function changesOf(actual: Actual, desired: Template): readonly FieldChange[] {
  if (actual.revision === desired.revision) return none;
  if (actual.fingerprint === null) {
    return [{ field: 'revision', from: actual.revision, to: desired.revision }];
  }
  const changes = fieldChanges(actual.fingerprint, fingerprintOf(desired.workload));
  return changes.length > 0 ? changes : [{ field: 'revision', from: actual.revision, to: desired.revision }];
}

/** What a fingerprint holds as a hash, which says nothing to anybody. */
const hashed = /^(?:env\.|podTemplate$)/;

function fieldChanges(from: WorkloadFingerprint, to: WorkloadFingerprint): FieldChange[] {
  const fields = [...new Set([...Object.keys(from), ...Object.keys(to)])].sort();
  return fields
    .filter((field) => from[field] !== to[field])
    .map((field) => {
      if (!hashed.test(field)) return { field, from: shown(from[field]), to: shown(to[field]) };
      const word = (value: string | undefined, known: string) => (value === undefined ? null : known);
      const now = from[field] === undefined ? '(set)' : '(changed)';
      return { field, from: word(from[field], '(set)'), to: word(to[field], now) };
    });
}

/** An empty list says something else than none. */
function shown(text: string | undefined): string | null {
  return text === '' ? '(empty)' : (text ?? null);
}

/** Whether both are the same changes. */
export function areSameChanges(some: readonly FieldChange[], others: readonly FieldChange[]): boolean {
  return (
    some.length === others.length &&
    some.every((change, index) => change.from === others[index]?.from) &&
    areAmong(some, others)
  );
}

/** Whether all of these were to be made, whatever was there before. */
export function areAmong(changes: readonly FieldChange[], made: readonly FieldChange[]): boolean {
  return changes.every(({ field, to }) => made.some((change) => change.field === field && change.to === to));
}

/** What differs and is changed in place. */
export function inPlaceChanges(actual: Actual, desired: Template): readonly FieldChange[] {
  return [...limitChanges(actual.limits, desired.limits), ...settingChanges(actual.settings, desired)];
}

const limitFields: readonly (readonly [string, keyof Limits, (value: number) => string])[] = [
  ['resources.limits.cpu', 'cpuMillis', (value) => `${value}m`],
  ['resources.limits.memory', 'memoryBytes', mebibytes],
  ['resources.limits.pids', 'pids', String],
];

const none: readonly FieldChange[] = [];

/** As it nearly always is: no list is made for that. */
function areLimits({ cpuMillis, memoryBytes, pids }: Partial<Limits>, desired: Limits): boolean {
  return cpuMillis === desired.cpuMillis && memoryBytes === desired.memoryBytes && pids === desired.pids;
}

/** Limits that the backend enforces and that differ; a backend that enforces none reports null. */
export function limitChanges(actual: Partial<Limits> | null, desired: Limits): readonly FieldChange[] {
  if (actual === null || areLimits(actual, desired)) return none;
  return limitFields.flatMap(([name, field, show]) => {
    const from = actual[field];
    if (from === undefined || from === desired[field]) return [];
    return [{ field: name, from: show(from), to: show(desired[field]) }];
  });
}

/** What is declared in place and differs, where the backend keeps it. */
export function settingChanges(actual: Settings | undefined, desired: Template): readonly FieldChange[] {
  if (actual === undefined) return none;
  return Object.entries(settingsOf(desired))
    .filter(([field, value]) => actual[field] !== value)
    .map(([field, to]) => ({ field, from: actual[field] ?? null, to }));
}

function mebibytes(bytes: number): string {
  return bytes % 1_048_576 === 0 ? `${bytes / 1_048_576}Mi` : String(bytes);
}
