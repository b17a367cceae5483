/** Who may sign policies, told apart from those who might before: by a digest of the file that names them. @module */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { codeOf, GitError } from './git-program.ts';

/** @throws GitError where the file can't be read */
export async function signersOf(file: string): Promise<string> {
  const text = await readFile(file).catch((error: unknown) => {
    throw new GitError(`the signers ${file} can't be read (${codeOf(error)})`);
  });
  return createHash('sha256').update(text).digest('hex');
}
