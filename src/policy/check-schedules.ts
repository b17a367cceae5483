/** Meaning of the schedules in a policy. @module */
import { error, type Finding, warning } from './finding.ts';
import type { PolicySpec } from './policy.ts';
import { type Moments, nextMoment, type ScheduleForm, scheduleProblem } from './schedule.ts';

/** When running terminals may be replaced. */
export function checkWindow({ rollout: { window } }: PolicySpec): Finding[] {
  const hint = 'write five fields: minute hour day month weekday, e.g. "0 2 * * 1-5"';
  return window === undefined ? [] : checkSchedule(['rollout', 'window'], window, 'cron', hint);
}

/** When homes are emptied, and what stays in them. */
export function checkReset({ reset, persistence }: PolicySpec): Finding[] {
  if (reset === undefined) return [];
  const hint =
    'write "@daily", "@weekly", "@monthly", e.g. 2027-01-31T03:00:00, or five fields, e.g. "0 3 * * 1"';
  const lost = reset.keep.length > 0 && !persistence.enabled;
  return [
    ...checkSchedule(['reset'], reset, 'moments', hint),
    ...reset.keep.flatMap((kept, index) => {
      const wrong = keptPathProblem(kept);
      return wrong === null ? [] : [error(['reset', 'keep', index], `"${kept}" ${wrong}`, keepHint)];
    }),
    ...(lost
      ? [warning(['reset', 'keep'], 'nothing is kept without persistence', 'set persistence.enabled')]
      : []),
  ];
}

const keepHint = 'write a path in the home, such as .config/git';

/** Why this names nothing in a home; null where it does. */
function keptPathProblem(kept: string): string | null {
  if (kept.startsWith('/')) return 'is an absolute path';
  if (kept === '~' || kept.startsWith('~/')) return 'begins with "~", which stands for nothing here';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly those are meant
  if (/[\u0000-\u001f\u007f]/.test(kept)) return 'holds a control character';
  const parts = kept.replace(/\/$/, '').split('/');
  return parts.some((part) => part === '' || part === '.' || part === '..') ? 'is not a plain path' : null;
}

function checkSchedule(
  at: readonly string[],
  { schedule, timezone }: Moments,
  form: ScheduleForm,
  hint: string,
): Finding[] {
  const wrong = scheduleProblem(schedule, timezone, form);
  if (wrong === null) return checkComing(at, { schedule, timezone });
  if (wrong === 'timezone')
    return [error([...at, wrong], `"${timezone}" is no timezone`, 'write e.g. Europe/Berlin')];
  const said = form === 'cron' ? 'is no cron expression' : 'is no schedule';
  return [error([...at, wrong], `"${schedule}" ${said}`, hint)];
}

/** A single moment that is past, or a day that no month has. */
function checkComing(at: readonly string[], moments: Moments): Finding[] {
  if (nextMoment(moments, Date.now()) !== null) return [];
  const message = `"${moments.schedule}" has no moment to come`;
  return [warning([...at, 'schedule'], message, 'write another one, or leave it out')];
}
