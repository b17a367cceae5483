/**
 * One process at a time: a lock file that names its owner, so that one whose owner is gone holds nobody up.
 * @module
 */

import { randomUUID } from 'node:crypto';
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { bornOf } from './processes.ts';

const pollMs = 250;

/**
 * Does the work while holding the lock; waits for it as long as the signal allows.
 * @param waiting called once where another process has it
 */
export async function withLock<T>(
  file: string,
  work: () => Promise<T>,
  { waiting, signal }: { readonly waiting: (pid: number) => void; readonly signal: AbortSignal },
): Promise<T> {
  const owner = `${process.pid} ${await bornOf(process.pid)} ${randomUUID()}`;
  let told = false;
  while (!(await take(file, owner))) {
    const holder = await readFile(file, 'utf8').catch(() => null);
    if (holder !== null && !(await isAlive(holder))) {
      await removeStale(file, holder);
      continue;
    }
    if (holder !== null && !told) waiting(Number.parseInt(holder, 10));
    told ||= holder !== null;
    await sleep(pollMs, undefined, { signal });
  }
  try {
    return await work();
  } finally {
    await rm(file, { force: true });
  }
}

/** A link appears with its whole content or not at all, and only where there is none. */
async function take(file: string, owner: string): Promise<boolean> {
  const draft = `${file}.${randomUUID()}`;
  await writeFile(draft, owner, { mode: 0o600 });
  try {
    await link(draft, file);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  } finally {
    await rm(draft, { force: true });
  }
}

async function isAlive(holder: string): Promise<boolean> {
  const [pid = '', born] = holder.split(' ');
  return (await bornOf(Number(pid))) === born;
}

/** Between the look and the removal another process may have taken it: then it is put back. */
async function removeStale(file: string, holder: string): Promise<void> {
  const aside = `${file}.${randomUUID()}`;
  try {
    await rename(file, aside);
    if ((await readFile(aside, 'utf8')) !== holder) await link(aside, file).catch(() => undefined);
  } catch {
    // Somebody else has removed it.
  }
  await rm(aside, { force: true });
}
