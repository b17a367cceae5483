/**
 * Whether a terminal is wanted, from its last use. Pure.
 * @module
 */
import { resetRequest } from './reset-request.ts';
import { stopAnnotation, type TerminalResource } from './terminal-resource.ts';

export interface Wanted {
  /** Whether a Pod should be there. */
  readonly running: boolean;
  /** For the status; the last use that an idle terminal was stopped after. */
  readonly idleSince: string | undefined;
  /** Epoch ms at which it is to be looked at again; null: no time of its own. */
  readonly lookAgainAt: number | null;
  readonly reason: 'InUse' | 'IdleTimeout' | 'StopRequested' | 'ResetRequested' | 'Suspended';
}

const minuteMs = 60_000;

/**
 * Idle once the timeout has passed since the last use, or where somebody asked for it after the last use. What is idle stays
 * so until there is a use newer than the one it was stopped after: both times are the orchestrator's, so that clocks need
 * not agree, and a longer timeout in a policy wakes nobody.
 */
export function wanted(terminal: TerminalResource, now: number): Wanted {
  const { metadata, spec, status } = terminal;
  const used = status?.lastActivityAt ?? metadata.creationTimestamp ?? new Date(now).toISOString();
  const usedAt = Date.parse(used);
  if (resetRequest(terminal) !== null) {
    // Whoever has come since it began to be stopped waits until its home is empty.
    const idleSince = status?.idleSince ?? used;
    return { running: false, idleSince, lookAgainAt: null, reason: 'ResetRequested' };
  }
  const stop = Date.parse(metadata.annotations?.[stopAnnotation] ?? '');
  const reason = stop >= usedAt ? 'StopRequested' : 'IdleTimeout';
  const idle: Wanted = { running: false, idleSince: used, lookAgainAt: null, reason };
  const stays = status?.idleSince !== undefined && usedAt <= Date.parse(status.idleSince);
  if (stays || stop >= usedAt) return idle;

  const endsAt = usedAt + spec.idleTimeoutMinutes * minuteMs;
  const never = spec.idleTimeoutMinutes === 0 || spec.suspend;
  if (!never && now >= endsAt) return idle;
  const lookAgainAt = never ? null : endsAt;
  return { running: true, idleSince: undefined, lookAgainAt, reason: spec.suspend ? 'Suspended' : 'InUse' };
}
