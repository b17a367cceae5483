/**
 * Whose processes the terminals are: where we are root, every user has a user id of their own.
 *
 * `uids/<uid>` holds the user it belongs to. A user's search starts at the hash of their id and goes on to the first file
 * that is theirs or free; files are never removed, so that the same user finds the same uid for ever.
 * @module
 */
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { UserId } from '../../terminal/terminal.ts';
import { accountName, asAccount, rootEnvironment, writeAccountFiles } from './account-names.ts';
import { firstClosed } from './environment.ts';
import { run } from './run.ts';

/** Far above the accounts of a system, within what every system has. The first one is only for trying things out. */
const range = { first: 200_000, count: 100_000 };
/** A user id that belongs to nobody: what works for it works for every user. */
export const trialUid = range.first;
const trialTimeoutMs = 30_000;

/** How the terminals of different users are kept apart on this machine. */
export interface Separation {
  /** Every user has a uid of their own; else why not, in a sentence. */
  readonly separate: true | string;
  /** Their uids have a name inside their terminals. */
  readonly named: boolean;
}

export class Accounts {
  readonly #folder: string;

  /** @param folder where the uids are kept; only we may look into it */
  constructor(folder: string) {
    this.#folder = folder;
  }

  /** The uid of a user: always the same, never another user's. */
  async uidOf(user: UserId): Promise<number> {
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const draft = path.join(this.#folder, `draft-${randomUUID()}`);
    await writeFile(draft, JSON.stringify(user), { mode: 0o600 });
    try {
      const start = createHash('sha256').update(user).digest().readUInt32BE();
      for (let step = 0; step < range.count - 1; step += 1) {
        const uid = range.first + 1 + ((start + step) % (range.count - 1));
        if (await this.#isOrBecomes(uid, draft, user)) return uid;
      }
    } finally {
      await rm(draft, { force: true });
    }
    throw new RangeError(`all ${range.count} user ids are taken`);
  }

  async #isOrBecomes(uid: number, draft: string, user: UserId): Promise<boolean> {
    const file = path.join(this.#folder, String(uid));
    try {
      await link(draft, file);
      return true;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
      return (await readFile(file, 'utf8')) === JSON.stringify(user);
    }
  }
}

/** Tries out as a user id of nobody whether terminals can run separately here. */
export async function trySeparation(
  python: string,
  folder: string,
  signal: AbortSignal,
): Promise<Separation> {
  if (process.getuid?.() !== 0) return { separate: 'Terminals does not run as root', named: false };
  const options = { env: {}, cwd: '/', signal, timeoutMs: trialTimeoutMs };
  const script = 'import os, sys, open_terminal; os.stat(sys.argv[1])';
  const tried = await run(python, ['-I', '-c', script, path.join(folder, '.')], {
    ...options,
    uid: trialUid,
  });
  if (tried.exitCode !== 0) {
    const closed = firstClosed(folder) ?? firstClosed(path.dirname(python));
    const reason = closed
      ? `other users may not enter ${closed}`
      : (tried.lines.at(-1) ?? 'it does not work here');
    return { separate: reason, named: false };
  }
  if (!existsSync('/etc/passwd')) return { separate: true, named: false };
  const files = await writeAccountFiles({ folder, uid: trialUid, home: '/', shell: '/bin/sh' });
  try {
    const [command, ...args] = asAccount(trialUid, files, ['/usr/bin/id', '-un']);
    const named = await run(command, args, { ...options, env: rootEnvironment });
    return { separate: true, named: named.output.trim() === accountName };
  } finally {
    await Promise.all([rm(files.passwd, { force: true }), rm(files.group, { force: true })]);
  }
}
