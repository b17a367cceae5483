/**
 * Files written as a whole or not at all.
 * @module
 */
import { randomUUID } from 'node:crypto';
import { open, realpath, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { ConflictError, TerminalsError } from '../errors.ts';
import { NotEditableError } from './policy-text.ts';

/** Readers see the old text or the new one, whole. Rights and owner stay; a link goes on leading to the file. */
export async function replaceFile(file: string, text: string): Promise<void> {
  const real = await realpath(file);
  const { mode, uid, gid } = await stat(real);
  await writeBeside(real, text, { mode: mode & 0o7777, owner: { uid, gid } });
}

/** @throws ConflictError where the file is there already */
export async function createFile(file: string, text: string): Promise<void> {
  const there = await stat(file).catch(() => null);
  if (there !== null) {
    throw new ConflictError(
      `${path.basename(file)} is there already, and does not declare this policy (or not validly).`,
      'Mend the file by hand.',
    );
  }
  await writeBeside(file, text, { mode: 0o644, owner: null });
}

async function writeBeside(
  file: string,
  text: string,
  {
    mode,
    owner,
  }: { readonly mode: number; readonly owner: { readonly uid: number; readonly gid: number } | null },
): Promise<void> {
  // Hidden, so that it is no policy file meanwhile.
  const temporary = path.join(path.dirname(file), `.${path.basename(file)}.${randomUUID()}.tmp`);
  try {
    const handle = await open(temporary, 'wx', mode);
    try {
      await handle.writeFile(text);
      // The umask counts for `open`. Another owner can be kept by root only.
      await handle.chmod(mode);
      if (owner !== null) await handle.chown(owner.uid, owner.gid).catch(() => undefined);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/**
 * What a file does not allow is said in words, with its name.
 * @throws ConflictError
 */
export async function onFile<T>(shown: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof TerminalsError) throw error;
    const code = error instanceof Error && 'code' in error ? error.code : null;
    const [what, hint] =
      error instanceof NotEditableError
        ? [`can't be edited here: ${error.message}`, 'Edit the file by hand.']
        : [`can't be written (${code})`, 'See to the rights on it, or change it by hand.'];
    if (!(error instanceof NotEditableError) && typeof code !== 'string') throw error;
    throw new ConflictError(`${shown} ${what}.`, hint, { cause: error });
  }
}
