/**
 * Last activity over a restart: one small file, so that nobody's terminal is stopped early because Terminals restarted.
 * It is a hint, no database: without it every terminal counts as used at the start.
 * @module
 */
import type { Logger } from 'pino';
import type { ActivityRecord, SavedActivity } from '../backend/backend.ts';
import type { TerminalName } from '../terminal/terminal.ts';
import { HintFile } from './hint-file.ts';

/** How often it is written while something changes. */
export const saveIntervalMs = 10_000;

export class ActivityStore implements ActivityRecord {
  readonly intervalMs = saveIntervalMs;
  readonly #file: HintFile;
  #written = '';

  /** @param dataDir the data directory; the file is `.terminals/activity.json` below it. */
  constructor(dataDir: string, log: Logger) {
    this.#file = new HintFile(dataDir, 'activity.json', 'last activity', log);
  }

  /**
   * Reads what was saved. What happened between the last saving (the file's time) and a crash isn't in it, so a terminal
   * that was in use within one interval before that saving counts as in use now.
   */
  async load(now: number): Promise<SavedActivity> {
    const times = (await this.#file.read()) ?? {};
    const savedAt = (await this.#file.time()) ?? now;
    return {
      lastActivityAt(name) {
        const at = times[name];
        if (typeof at !== 'number') return null;
        return at >= savedAt - saveIntervalMs ? now : Math.min(at, now);
      },
    };
  }

  async save(terminals: ReadonlyMap<TerminalName, number>, now: number): Promise<void> {
    const content = JSON.stringify(Object.fromEntries(terminals));
    if (content !== this.#written) {
      if (!(await this.#file.write(content))) return;
      this.#written = content;
    }
    await this.#file.touch(now);
  }
}
