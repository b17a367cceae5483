/** What a file declared that is not there any more, and where it may be now. @module */
import { builtinFile } from './builtin.ts';
import type { PolicySet } from './policy.ts';
import type { FileReading } from './reading.ts';

/**
 * Of a file: whether it is gone, and may be the one that can't be read now and declared nothing before, as where it was renamed
 * and broken at once.
 */
export function mayHaveMoved(
  files: readonly Pick<FileReading, 'path' | 'partlyUnreadable'>[],
  previous: PolicySet | null,
): (file: string) => boolean {
  const declaring = new Set(
    [...(previous?.policies.values() ?? [])].map(({ declaredAt }) => declaredAt.file),
  );
  if (previous?.defaults) declaring.add(previous.defaults.declaredAt.file);
  const open = files.some(({ path, partlyUnreadable }) => partlyUnreadable && !declaring.has(path));
  const there = new Set(files.map(({ path }) => path));
  return (file) => open && file !== builtinFile && !there.has(file);
}
