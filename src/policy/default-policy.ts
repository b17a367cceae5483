/** The policy of those who name none, where no good document declares it. @module */
import { defaultPolicyId, isBuiltin } from './builtin.ts';
import type { PolicyBounds } from './check.ts';
import type { Composer } from './compose.ts';
import { declaringFiles, heldIn, isNewlyUnread } from './moved.ts';
import type { Place, Policy, PolicySet } from './policy.ts';
import { placed, type Said } from './problems.ts';
import type { FileReading } from './reading.ts';

export interface UndeclaredDefault {
  /** Null: there is none, since nobody can say what it would be. */
  readonly policy: Policy | null;
  /** It is the one of before. */
  readonly isLast: boolean;
  readonly said: readonly Said[];
  /** The files that may declare another one. */
  readonly doubtful: readonly string[];
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
export function undeclaredDefault(surroundings: Surroundings): UndeclaredDefault {
  const { composer, previous, mode } = surroundings;
  const last = previous?.policies.get(defaultPolicyId) ?? null;
  const doubts = doubtsOf(surroundings, last);
  const doubtful = doubts.map(({ path }) => path);
  const stays = (said: readonly Said[]) => ({ policy: last, isLast: last !== null, said, doubtful });
  if (composer === null) return stays([]);
  // Before it is merged nothing is in force anyway.
  const doubted = mode === 'run' ? doubts.map((doubt) => say(doubt, last)) : [];
  const isBroken = doubts.some(({ place }) => place !== null);
  if (doubts.length > 0 && (isBroken || last === null || !isBuiltin(last))) return stays(doubted);
  const { policy, said } = composer.builtin();
  const all = [...doubted, ...said];
  return policy === null ? stays(all) : { policy, isLast: false, said: all, doubtful };
}

/** A file that declares `default` with errors, or may do so in what can't be read of it. */
interface Doubt {
  readonly path: string;
  /** Where it is declared; null: nobody knows. */
  readonly place: Place | null;
}

function doubtsOf({ readings, previous }: Surroundings, last: Policy | null): readonly Doubt[] {
  const held = heldIn(defaultPolicyId, previous);
  const wasDeclared = (last !== null && !isBuiltin(last)) || held.length > 0;
  // What is in the others was known while the built-in one was in force.
  const wasBuiltin = last === null ? previous?.builtinBefore === true : isBuiltin(last);
  const others = declaringFiles(wasBuiltin ? previous : null);
  return readings.flatMap((reading) => {
    const { path, drafts, isEmpty, partlyUnreadable } = reading;
    const broken = drafts.find(({ id }) => id === defaultPolicyId);
    if (broken !== undefined) return { path, place: broken.document.place([]) };
    // What was unreadable while all of them were declared elsewhere declares none of them, nor does an empty file by itself.
    const isNew = isNewlyUnread(reading, previous) && (wasDeclared || !isEmpty) && !others.has(path);
    return isNew || (partlyUnreadable && held.includes(path)) ? { path, place: null } : [];
  });
}

function say({ path, place }: Doubt, last: Policy | null): Said {
  const at = place ?? { file: path, line: 1, column: 1 };
  const [severity, message, hint] = words(place === null, last);
  return { problem: placed(at, severity, [], message, hint), heir: null };
}

function words(unknown: boolean, last: Policy | null): readonly ['error' | 'warning', string, string] {
  const why = unknown ? 'it may be declared here' : 'the one here has errors';
  const mend = unknown ? 'mend the file' : 'mend it';
  if (last === null) {
    const message = `no policy "${defaultPolicyId}" is in force, since ${why}`;
    return ['error', message, `${mend}: the built-in one does not take its place`];
  }
  if (!isBuiltin(last)) {
    return ['warning', `the policy "${defaultPolicyId}" stays as it was, since ${why}`, mend];
  }
  const still = unknown ? 'though another may be declared here' : `since ${why}`;
  const message = `the built-in policy "${defaultPolicyId}" stays in force, ${still}`;
  const hint = `${mend}: everybody has the built-in one, until a restart ends it`;
  return [unknown ? 'warning' : 'error', message, hint];
}
