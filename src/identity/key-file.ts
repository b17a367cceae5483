/**
 * Keys from a file that may be replaced while the program runs: a Docker or Kubernetes Secret, or a file someone edits.
 * @module
 */
import { unwatchFile, watchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import { parseKeys } from './keys.ts';

export interface KeyFileOptions {
  readonly file: string;
  /** Told the keys whenever they have changed; never with none. */
  readonly changed: (keys: readonly string[]) => void;
  readonly log: Pick<Logger, 'info' | 'warn'>;
  /** Ends the watch. */
  readonly signal: AbortSignal;
  /** How often to look. */
  readonly intervalMs?: number;
}

const defaultIntervalMs = 2_000;

/**
 * Reads the file again when it changes. Looks rather than listens: a mounted Secret changes by a symlink two directories
 * up, which file events miss. A file that is gone, unreadable or empty changes nothing: the last keys stay good.
 */
export function watchKeyFile(options: KeyFileOptions): void {
  const { file, signal, intervalMs } = options;
  if (signal.aborted) return;
  let known = '';
  const read = async () => {
    const keys = await readKeys(options);
    if (keys === null || signal.aborted || keys.join('\n') === known) return;
    known = keys.join('\n');
    options.changed(keys);
    options.log.info({ file, keys: keys.length }, 'keys read');
  };
  const look = () => void read();
  watchFile(file, { interval: intervalMs ?? defaultIntervalMs, persistent: false }, look);
  signal.addEventListener('abort', () => unwatchFile(file, look), { once: true });
  // What changed between the start and the first look would otherwise be missed.
  look();
}

async function readKeys({ file, log }: KeyFileOptions): Promise<readonly string[] | null> {
  try {
    const keys = parseKeys(await readFile(file, 'utf8'));
    if (keys.length > 0) return keys;
    log.warn({ file }, 'the key file is empty: the last keys stay good');
  } catch (error) {
    log.warn({ file, err: error }, "the key file can't be read: the last keys stay good");
  }
  return null;
}
