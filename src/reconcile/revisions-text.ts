/** How a policy's revisions fare, as text that is kept over restarts. @module */
import { isMap } from '../json.ts';
import { revisionOf } from '../terminal/desired.ts';
import { type GoodWorkload, type Revisions, type Trial, unknownRevisions } from '../terminal/revisions.ts';
import type { Workload } from '../terminal/terminal.ts';

/** The last good workload of what was kept as JSON; null where it is none, e.g. in the form of another version. */
export function goodOf(value: unknown): GoodWorkload | null {
  try {
    // The revision is made anew: what another version named so would never be the one of this workload again.
    return isWorkload(value) ? { revision: revisionOf(value), workload: value } : null;
  } catch {
    return null;
  }
}

/** As text, to be kept. */
export function revisionsText({ good, trial }: Revisions): string {
  return JSON.stringify({ good: good?.workload ?? null, trial });
}

/** What was kept; nothing of what is none. */
export function parseRevisions(text: string): Revisions {
  try {
    const value: unknown = JSON.parse(text);
    if (!isMap(value)) return unknownRevisions;
    return { good: goodOf(value.good), trial: isTrial(value.trial) ? value.trial : null };
  } catch {
    return unknownRevisions;
  }
}

function isWorkload(value: unknown): value is Workload {
  if (!isMap(value)) return false;
  const { image, env, packages, pipPackages, mounts, platform } = value;
  return (
    typeof image === 'string' &&
    isMap(env) &&
    [packages, pipPackages, mounts].every(Array.isArray) &&
    isMap(platform)
  );
}

function isTrial(value: unknown): value is Trial {
  if (!isMap(value)) return false;
  const { revision, failures, failed: names, againAt, stalled } = value;
  return (
    typeof revision === 'string' &&
    typeof failures === 'number' &&
    Array.isArray(names) &&
    typeof againAt === 'number' &&
    (stalled === null ||
      (isMap(stalled) && typeof stalled.since === 'number' && Array.isArray(stalled.lastLines)))
  );
}
