/**
 * That somebody asked for a terminal's home to be emptied: two annotations of the Terminal, and what of it is done. Pure.
 * @module
 */
import type { TerminalResource } from './terminal-resource.ts';

/**
 * Set to a time (RFC 3339) to have the terminal stopped and its home emptied. It is carried out once: `status.lastResetAt`
 * then is that time, and only a later one asks again.
 */
export const resetAnnotation = 'openwebui.com/reset-requested-at';
/** What stays in the home: a JSON list of paths in it; absent: nothing. */
export const keepAnnotation = 'openwebui.com/reset-keep';

export interface ResetRequest {
  /** Names it. RFC 3339. */
  readonly at: string;
  /** null: it can't be read, so that nothing may be removed. */
  readonly keep: readonly string[] | null;
}

/**
 * What is still to be carried out; null: nothing. A request from before the Terminal was made came with a copy of another
 * one, e.g. out of a backup, and is none.
 */
export function resetRequest({ metadata, status }: TerminalResource): ResetRequest | null {
  const time = Date.parse(metadata.annotations?.[resetAnnotation] ?? '');
  if (Number.isNaN(time) || time < Date.parse(metadata.creationTimestamp ?? '')) return null;
  if (time <= Date.parse(status?.lastResetAt ?? '')) return null;
  return { at: new Date(time).toISOString(), keep: keptPaths(metadata.annotations?.[keepAnnotation]) };
}

function keptPaths(text = '[]'): readonly string[] | null {
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) && list.every(isPlainPath) ? list : null;
  } catch {
    return null;
  }
}

function isPlainPath(path: unknown): path is string {
  if (typeof path !== 'string') return false;
  const parts = path.replace(/\/$/, '').split('/');
  return parts.every((part) => part !== '' && part !== '.' && part !== '..');
}
