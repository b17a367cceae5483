/** The difference of two specs as edits of a document. @module */
import { isDeepStrictEqual } from 'node:util';
import { isMap } from '../json.ts';
import type { Edit } from './policy-text.ts';

/** What makes `before` be `wanted`: fields that `wanted` has not are taken out. Lists are set as a whole. */
export function changesOf(
  wanted: object,
  before: object | null,
  at: readonly string[] = ['spec'],
): readonly Edit[] {
  const old = new Map(Object.entries(before ?? {}));
  const now = new Map(Object.entries(wanted));
  const gone = [...old.keys()].filter((name) => now.get(name) === undefined);
  const set = [...now].flatMap(([name, value]): readonly Edit[] => {
    const path = [...at, name];
    const was: unknown = old.get(name);
    if (value === undefined || isDeepStrictEqual(value, was)) return [];
    return isMap(value) && isMap(was) ? changesOf(value, was, path) : [{ path, value }];
  });
  return [...set, ...gone.map((name) => ({ path: [...at, name], value: undefined }))];
}
