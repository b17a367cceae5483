/**
 * Last activity over a restart: one small file, so that nobody's terminal is stopped early because Terminals restarted.
 * It is a hint, no database: without it every terminal counts as used at the start.
 * @module
 */
import { mkdir, readFile, rename, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import type { ActivityRecord, SavedActivity } from '../backend/backend.ts';
import type { TerminalName } from '../terminal/terminal.ts';

type Times = Readonly<Record<string, number>>;

/** How often it is written while something changes. */
export const saveIntervalMs = 10_000;

export class ActivityStore implements ActivityRecord {
  readonly intervalMs = saveIntervalMs;
  readonly #file: string;
  readonly #log: Logger;
  #written = '';

  /** @param dataDir the data directory; the file is `.terminals/activity.json` below it. */
  constructor(dataDir: string, log: Logger) {
    this.#file = path.join(dataDir, '.terminals', 'activity.json');
    this.#log = log;
  }

  /**
   * Reads what was saved. What happened between the last saving (the file's time) and a crash isn't in it, so a terminal
   * that was in use within one interval before that saving counts as in use now.
   */
  async load(now: number): Promise<SavedActivity> {
    const saved = await this.#read();
    return {
      lastActivityAt(name) {
        const at = saved?.times[name];
        if (saved === null || typeof at !== 'number') return null;
        return at >= saved.savedAt - saveIntervalMs ? now : Math.min(at, now);
      },
    };
  }

  /** Writes it whole and atomically; says so in the log, and no more, when it can't. */
  async save(terminals: ReadonlyMap<TerminalName, number>, now: number): Promise<void> {
    const content = JSON.stringify(Object.fromEntries(terminals));
    const temporary = `${this.#file}.new`;
    try {
      if (content !== this.#written) {
        await mkdir(path.dirname(this.#file), { recursive: true });
        await writeFile(temporary, content, { mode: 0o600 });
        await rename(temporary, this.#file);
        this.#written = content;
      }
      await utimes(this.#file, now / 1000, now / 1000);
    } catch (error) {
      this.#log.warn({ err: error, file: this.#file }, 'last activity could not be saved');
    }
  }

  async #read(): Promise<{ times: Times; savedAt: number } | null> {
    try {
      const content: unknown = JSON.parse(await readFile(this.#file, 'utf8'));
      if (!isTimes(content)) throw new SyntaxError('not a map of terminals to times');
      return { times: content, savedAt: (await stat(this.#file)).mtimeMs };
    } catch (error) {
      const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      if (!missing) this.#log.warn({ err: error, file: this.#file }, 'saved activity could not be read');
      return null;
    }
  }
}

function isTimes(content: unknown): content is Times {
  return typeof content === 'object' && content !== null && !Array.isArray(content);
}
