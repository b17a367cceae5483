/** The one `PolicyDefaults` of the folder, and its last good version while it is broken. @module */
import type { Layer } from './layers.ts';
import { mayHaveMoved, sayHeld } from './moved.ts';
import type { PolicySet, Problem } from './policy.ts';
import { placed } from './problems.ts';
import type { FileReading } from './reading.ts';

export interface FolderDefaults {
  /** Null: they are broken, and never were good; undefined: there are none. */
  readonly defaults: Layer | null | undefined;
  readonly problems: readonly Problem[];
  /** The files in which those in force may be, since theirs is gone. */
  readonly held: readonly string[];
}

/** The defaults in force. The ones that were in force stay before others, and as they were while they are broken. */
export function folderDefaults(readings: readonly FileReading[], previous: PolicySet | null): FolderDefaults {
  const before = previous?.defaults;
  const good = readings.flatMap(({ defaults }) => defaults);
  const same = good.find(({ declaredAt }) => declaredAt.file === before?.declaredAt.file);
  const moved = before ? mayHaveMoved(readings, previous)(null, before.declaredAt.file) : [];
  const lost = readings.some(
    ({ path, brokenDefaults, partlyUnreadable }) =>
      path === before?.declaredAt.file && (brokenDefaults !== null || partlyUnreadable),
  );
  const [place] = readings.flatMap(({ brokenDefaults }) => brokenDefaults ?? []);
  if (before && moved.length > 0 && good.length === 0) {
    return { defaults: before, problems: sayHeld(null, before.declaredAt.file, moved), held: moved };
  }
  const inForce = same ?? (lost ? before : good[0]);
  if (inForce) return { defaults: inForce, problems: seconds(good, inForce), held: [] };
  if (place === undefined) return { defaults: undefined, problems: [], held: [] };
  // Where none ever were in force, the policies stay without them.
  if (before !== null && previous !== null) return { defaults: before, problems: [], held: [] };
  const message = 'no policy of the folder can be in force before its defaults are good';
  return { defaults: null, problems: [placed(place, 'error', [], message, 'mend them')], held: [] };
}

function seconds(good: readonly Layer[], inForce: Layer): readonly Problem[] {
  const { file, line } = inForce.declaredAt;
  return good
    .filter((other) => other !== inForce)
    .map(({ declaredAt }) =>
      placed(
        declaredAt,
        'error',
        ['kind'],
        `a folder has one PolicyDefaults; the one at ${file}:${line} is in force`,
        'merge the two, or delete one',
      ),
    );
}
