/** Schedules in policies: cron expressions of five fields in a timezone. @module */
import { Cron } from 'croner';
import type { Window } from '../terminal/terminal.ts';

/**
 * When the window is open the next time, in epoch milliseconds: now, while it is open; null where it never opens again.
 * @throws what croner throws for a schedule or a timezone that is none (a validated policy has none such)
 */
export function windowOpensAt({ schedule, durationMs, timezone }: Window, now: number): number | null {
  // The last opening that is still going on, or the next one.
  const opening = new Cron(schedule, { timezone, paused: true }).nextRun(new Date(now - durationMs));
  return opening === null ? null : Math.max(opening.getTime(), now);
}

/** Why this is no schedule or no timezone; null where it is one. */
export function scheduleProblem(schedule: string, timezone: string): 'schedule' | 'timezone' | null {
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone });
  } catch {
    return 'timezone';
  }
  try {
    return schedule.trim().split(/\s+/).length === 5 && new Cron(schedule, { timezone, paused: true })
      ? null
      : 'schedule';
  } catch {
    return 'schedule';
  }
}
