/** Schedules in policies: cron expressions of five fields in a timezone, and single moments. @module */
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

/** A schedule of moments, beside cron expressions also by name, or one moment. */
export interface Moments {
  readonly schedule: string;
  readonly timezone: string;
}

/**
 * The first of its moments after this one, in epoch milliseconds; null: there is none.
 * @throws what croner throws for a schedule or a timezone that is none (a validated policy has none such)
 */
export function nextMoment({ schedule, timezone }: Moments, after: number): number | null {
  const next = new Cron(schedule.trim(), { timezone, paused: true }).nextRun(new Date(after));
  return next === null ? null : next.getTime();
}

/** What a schedule may be: only a cron expression of five fields, or one of `Moments`. */
export type ScheduleForm = 'cron' | 'moments';

const names: readonly string[] = ['@daily', '@weekly', '@monthly'];
const isoForm = /^(\d{4}-\d\d-\d\d)T\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?$/;

/** Why this is no schedule or no timezone; null where it is one. */
export function scheduleProblem(
  schedule: string,
  timezone: string,
  form: ScheduleForm = 'cron',
): 'schedule' | 'timezone' | null {
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone });
  } catch {
    return 'timezone';
  }
  try {
    return hasForm(schedule.trim(), form) && new Cron(schedule.trim(), { timezone, paused: true })
      ? null
      : 'schedule';
  } catch {
    return 'schedule';
  }
}

function hasForm(schedule: string, form: ScheduleForm): boolean {
  if (schedule.split(/\s+/).length === 5) return true;
  if (form === 'cron') return false;
  return names.includes(schedule) || isDateTime(schedule);
}

/** croner takes the 31st of February for a date that never comes. */
function isDateTime(text: string): boolean {
  const date = isoForm.exec(text)?.[1];
  if (date === undefined) return false;
  const midnight = new Date(`${date}T00:00:00Z`);
  return !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(date);
}
