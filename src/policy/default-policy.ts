/** The policy of those who name none, where no good document declares it. @module */
import { builtinFile, defaultPolicyId } from './builtin.ts';
import type { PolicyBounds } from './check.ts';
import type { Composer } from './compose.ts';
import type { Policy, PolicySet } from './policy.ts';
import { placed, type Said } from './problems.ts';
import type { FileReading } from './reading.ts';

export interface UndeclaredDefault {
  /** Null: there is none, since nobody can say what it would be. */
  readonly policy: Policy | null;
  /** It is the one of before. */
  readonly isLast: boolean;
  readonly said: readonly Said[];
}

export interface Surroundings {
  readonly readings: readonly FileReading[];
  /** Null: the folder's defaults are broken, so that it can't be told what the built-in policy is. */
  readonly composer: Composer | null;
  readonly previous: PolicySet | null;
  readonly mode: PolicyBounds['mode'];
}

/**
 * The built-in policy, which lets everybody in: only where no file declares another one, nor may do so where it can't be read.
 * There the one of before stays.
 */
export function undeclaredDefault({ readings, composer, previous, mode }: Surroundings): UndeclaredDefault {
  const last = previous?.policies.get(defaultPolicyId) ?? null;
  const stays = (said: readonly Said[]) => ({ policy: last, isLast: last !== null, said });
  if (composer === null) return stays([]);
  const doubts = last?.declaredAt.file === builtinFile ? [] : readings.flatMap(doubtsOf);
  // Before it is merged nothing is in force anyway.
  if (doubts.length > 0) return stays(last === null && mode === 'run' ? doubts : []);
  const { policy, said } = composer.builtin();
  return policy === null ? stays(said) : { policy, isLast: false, said };
}

/** Where a file declares `default` with errors, or may do so in what can't be read of it. */
function doubtsOf({ path, drafts, partlyUnreadable }: FileReading): readonly Said[] {
  const broken = drafts.find(({ id }) => id === defaultPolicyId);
  const say = (place: Parameters<typeof placed>[0], why: string, what: string): readonly Said[] => {
    const hint = `mend ${what}: the built-in one does not take its place`;
    const message = `no policy "${defaultPolicyId}" is in force, since ${why}`;
    return [{ problem: placed(place, 'error', [], message, hint), heir: null }];
  };
  if (broken !== undefined) return say(broken.document.place([]), 'the one here has errors', 'it');
  const start = { file: path, line: 1, column: 1 };
  return partlyUnreadable ? say(start, 'it may be declared here', 'the file') : [];
}
