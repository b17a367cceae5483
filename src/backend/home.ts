/**
 * The homes: one folder a terminal key below the data directory, and never one outside of it.
 * @module
 */
import { chown, lstat, mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { StartFailedError } from '../errors.ts';
import { homeSegments } from '../terminal/names.ts';
import type { TerminalKey } from '../terminal/terminal.ts';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Where a terminal's home is; the folder need not be there. */
export function homePath(dataDir: string, key: TerminalKey): string {
  const root = path.resolve(dataDir);
  const home = path.join(root, ...homeSegments(key));
  // Names are safe by construction; this holds even if that were ever wrong.
  if (!home.startsWith(root + path.sep)) throw new RangeError(`the home ${home} is outside of ${root}`);
  return home;
}

/**
 * Makes a home that is not there yet (mode 0700, given to its owner where we may do that) and leaves one that is as it is.
 * @throws StartFailedError where a link or a file is in the way
 */
export async function makeHome(dataDir: string, key: TerminalKey, owner: Owner | null): Promise<string> {
  const home = homePath(dataDir, key);
  const policyFolder = path.dirname(home);
  await mkdir(policyFolder, { recursive: true, mode: 0o711 });
  await refuseLink(policyFolder);
  try {
    await mkdir(home, { mode: 0o700 });
    if (owner && process.getuid?.() === 0) await chown(home, owner.uid, owner.gid);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    await refuseLink(home);
  }
  return home;
}

/** A link could lead out of the data directory. */
async function refuseLink(folder: string): Promise<void> {
  if ((await lstat(folder)).isDirectory()) return;
  throw new StartFailedError(
    `${folder} is not a directory.`,
    'Move away what is there; a home is never a link or a file.',
  );
}

/** Deletes a home with everything in it; none there is no error. */
export async function removeHome(dataDir: string, key: TerminalKey): Promise<void> {
  await rm(homePath(dataDir, key), { recursive: true, force: true, maxRetries: 2 });
}
