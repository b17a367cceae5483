/**
 * The schedule that a Terminal's home is emptied by, and since when it is in force: kept on the Terminal, so that every
 * orchestrator knows it, and none after a restart makes up for what it never said. Pure.
 * @module
 */
import { isMap } from '../../json.ts';
import type { TerminalResource } from '../../operator/terminal-resource.ts';
import type { Clean, Desired } from '../../terminal/terminal.ts';

const scheduleAnnotation = 'openwebui.com/reset-schedule';

/** Its annotation under a desired state: as it is, unless the schedule is another one. */
export function scheduleAnnotations(
  { reset }: Desired,
  existing: TerminalResource | undefined,
  now: number,
): Readonly<Record<string, string>> {
  const known = existing?.metadata.annotations?.[scheduleAnnotation];
  // Emptied rather than left out: what is left out of an apply is not seen to be missing.
  if (reset === null) return known === undefined ? {} : { [scheduleAnnotation]: '' };
  const { schedule, timezone } = reset;
  const declared = scheduleOf(known);
  const same = declared?.schedule === schedule && declared.timezone === timezone;
  const since = new Date(now).toISOString();
  return { [scheduleAnnotation]: same && known ? known : JSON.stringify({ schedule, timezone, since }) };
}

/** Since when its home is clean; null: it is under no schedule. */
export function cleanOf({ metadata, status }: TerminalResource): Clean | null {
  const declared = scheduleOf(metadata.annotations?.[scheduleAnnotation]);
  if (declared === null) return null;
  const times = [metadata.creationTimestamp, status?.lastResetAt].map((time) => Date.parse(time ?? '') || 0);
  return { ...declared, since: Math.max(declared.since, ...times) };
}

function scheduleOf(text: string | undefined): Clean | null {
  if (!text) return null;
  try {
    const value: unknown = JSON.parse(text);
    if (!isMap(value)) return null;
    const { schedule, timezone, since } = value;
    const at = Date.parse(String(since));
    const known = typeof schedule === 'string' && typeof timezone === 'string' && !Number.isNaN(at);
    return known ? { schedule, timezone, since: at } : null;
  } catch {
    return null;
  }
}
