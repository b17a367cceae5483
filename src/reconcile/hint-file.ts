/**
 * A small JSON file beside the homes that survives a restart. None of them is a database: each says what happens without it,
 * and one that can't be read or written costs a line in the log.
 * @module
 */
import { mkdir, readFile, rename, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import { isMap, type JsonMap } from '../json.ts';

export class HintFile {
  readonly path: string;
  readonly #what: string;
  readonly #log: Logger;

  /**
   * @param dataDir the data directory; the file is in `.terminals` below it
   * @param what it holds, for the log
   */
  constructor(dataDir: string, name: string, what: string, log: Logger) {
    this.path = path.join(dataDir, '.terminals', name);
    this.#what = what;
    this.#log = log;
  }

  /** What was written last; null where there is nothing, or nothing that can be read. */
  async read(): Promise<Readonly<JsonMap> | null> {
    try {
      const content: unknown = JSON.parse(await readFile(this.path, 'utf8'));
      if (!isMap(content)) throw new SyntaxError('not a map');
      return content;
    } catch (error) {
      const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      if (!missing) this.#say(error, 'could not be read');
      return null;
    }
  }

  /** Epoch milliseconds of the last `write` or `touch`; null: there is no file. */
  async time(): Promise<number | null> {
    const about = await stat(this.path).catch(() => null);
    return about?.mtimeMs ?? null;
  }

  /** Writes it whole and atomically. @returns whether that succeeded */
  write(content: string): Promise<boolean> {
    return this.#try(async () => {
      await mkdir(path.dirname(this.path), { recursive: true });
      await writeFile(`${this.path}.new`, content, { mode: 0o600 });
      await rename(`${this.path}.new`, this.path);
    });
  }

  /** Says that what is written was still so at that time. */
  touch(now: number): Promise<boolean> {
    return this.#try(() => utimes(this.path, now / 1000, now / 1000));
  }

  async #try(work: () => Promise<void>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      this.#say(error, 'could not be saved');
      return false;
    }
  }

  #say(error: unknown, what: string): void {
    this.#log.warn({ err: error, file: this.path }, `${this.#what} ${what}`);
  }
}
