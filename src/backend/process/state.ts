/**
 * What is remembered of each terminal: one folder, a record and its key. A crash at any line leaves the old or the new
 * record, never half of one.
 * @module
 */
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import { terminalName } from '../../terminal/names.ts';
import type { Revision, TerminalKey, TerminalName, WorkloadFingerprint } from '../../terminal/terminal.ts';

export interface TerminalRecord {
  readonly key: TerminalKey;
  /** Null between the intent to start it and the start, and after it was stopped. */
  readonly server: { readonly pid: number; readonly born: string } | null;
  /** Being started: a server may run whose id is not written yet. */
  readonly starting: boolean;
  /** Answered /health since its start. */
  readonly healthy: boolean;
  /** Null: it runs as we do. */
  readonly uid: number | null;
  readonly port: number;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  readonly revision: Revision;
  readonly fingerprint: WorkloadFingerprint;
  readonly idleTimeoutMs: number;
  /** The pip packages that are in its home. */
  readonly pipPackages: readonly string[];
}

export class States {
  readonly #folder: string;
  readonly #log: Logger;

  /** @param folder holds one folder a terminal */
  constructor(folder: string, log: Logger) {
    this.#folder = folder;
    this.#log = log;
  }

  /** The folder of one terminal's state; it need not be there. */
  folderOf(name: TerminalName): string {
    return path.join(this.#folder, name);
  }

  /** Where the home of a terminal is that need not outlive it. */
  homeOf(name: TerminalName): string {
    return path.join(this.folderOf(name), 'home');
  }

  /** Makes a terminal's folder; other users can pass it but not list it. */
  async makeFolder(name: TerminalName): Promise<string> {
    const folder = this.folderOf(name);
    await makePassable(folder);
    return folder;
  }

  /** What marks the processes of a terminal: its state folder, under its one real name. */
  async marker(name: TerminalName): Promise<string> {
    const folder = await realpath(this.#folder).catch(() => this.#folder);
    return path.join(folder, name);
  }

  async all(): Promise<readonly TerminalRecord[]> {
    const names = await readdir(this.#folder).catch(ignoreMissing([]));
    const records = await Promise.all(names.map((name) => this.read(name as TerminalName)));
    return records.filter((record) => record !== null);
  }

  /** Null where there is none, or none that can be read. */
  async read(name: TerminalName): Promise<TerminalRecord | null> {
    const file = path.join(this.folderOf(name), 'terminal.json');
    const text = await readFile(file, 'utf8').catch(ignoreMissing(null));
    const record = text === null ? null : parseRecord(text);
    if (record && terminalName(record.key) === name) return record;
    if (text !== null) this.#log.warn({ file }, 'the record of a terminal is broken and left alone');
    return null;
  }

  async write(name: TerminalName, record: TerminalRecord): Promise<void> {
    await this.#replace(path.join(this.folderOf(name), 'terminal.json'), JSON.stringify(record));
  }

  /** The terminal's own key; made where there is none. */
  async apiKey(name: TerminalName): Promise<string> {
    const file = path.join(this.folderOf(name), 'key');
    const known = (await readFile(file, 'utf8').catch(ignoreMissing(''))).trim();
    if (known !== '') return known;
    const made = randomBytes(32).toString('base64url');
    await this.#replace(file, made);
    return made;
  }

  /** Forgets it. A home in its folder is gone by then: what a user can write in is never removed as root from outside. */
  async remove(name: TerminalName): Promise<void> {
    // The record goes first: what is left without one is nobody's.
    await rm(path.join(this.folderOf(name), 'terminal.json'), { force: true });
    await rm(this.folderOf(name), { recursive: true, force: true, maxRetries: 2 });
  }

  /** Writes beside and renames: a reader sees the old or the new content. */
  async #replace(file: string, content: string): Promise<void> {
    const draft = `${file}.new`;
    await rm(draft, { force: true });
    await writeFile(draft, content, { mode: 0o600, flag: 'wx', flush: file.endsWith('key') });
    await rename(draft, file);
  }
}

/** A folder that everybody may pass and only we may list. */
export async function makePassable(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o711 });
  // Whatever our umask is.
  await chmod(folder, 0o711);
}

const logLimit = 4 * 1024 * 1024;

/** Opens the log of a server anew: what it writes is appended, so that it can be cut while it runs. */
export async function openLog(folder: string): Promise<Awaited<ReturnType<typeof open>>> {
  const file = path.join(folder, 'log');
  await rm(file, { force: true });
  return open(file, 'a', 0o600);
}

/** The end of a server's log. */
export async function readLog(folder: string): Promise<string> {
  return readFile(path.join(folder, 'log'), 'utf8').catch(ignoreMissing(''));
}

/** Empties a log that has become too long; the server goes on writing at its beginning. */
export async function boundLog(folder: string): Promise<void> {
  const handle = await open(path.join(folder, 'log'), 'r+').catch(ignoreMissing(null));
  if (handle === null) return;
  try {
    if ((await handle.stat()).size > logLimit) await handle.truncate();
  } finally {
    await handle.close();
  }
}

function ignoreMissing<T>(instead: T): (error: unknown) => T {
  return (error) => {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR'))
      return instead;
    throw error;
  };
}

function parseRecord(text: string): TerminalRecord | null {
  try {
    const value: unknown = JSON.parse(text);
    return isRecord(value) ? value : null;
  } catch {
    return null;
  }
}

/** We are the only writer; this guards against a damaged file and one of another version. */
function isRecord(value: unknown): value is TerminalRecord {
  if (!isObject(value) || !isObject(value.key)) return false;
  const { key, server, uid } = value;
  return (
    typeof key.policy === 'string' &&
    typeof key.user === 'string' &&
    (key.context === null || typeof key.context === 'string') &&
    (server === null ||
      (isObject(server) && Number.isInteger(server.pid) && typeof server.born === 'string')) &&
    (uid === null || Number.isInteger(uid)) &&
    typeof value.starting === 'boolean' &&
    typeof value.healthy === 'boolean' &&
    Number.isInteger(value.port) &&
    typeof value.startedAt === 'number' &&
    typeof value.revision === 'string' &&
    isObject(value.fingerprint) &&
    typeof value.idleTimeoutMs === 'number' &&
    Array.isArray(value.pipPackages)
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
