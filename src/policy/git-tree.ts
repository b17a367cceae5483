/**
 * One commit → its policy files, read from git's own store: nothing is checked out, so that no link is followed, no filter
 * runs, and nothing in the tree can reach the disk.
 * @module
 */
import { largestFileBytes } from './document.ts';
import { CommitRefusedError, GitError, GitExitError, type GitRun, runGit } from './git-program.ts';
import type { SourceFile } from './policy.ts';

/** More than any folder of policies has. */
const mostFiles = 5_000;
const mostBytes = 32 * 1024 * 1024;
const mostListingBytes = 16 * 1024 * 1024;
const timeoutMs = 30_000;

interface Entry {
  readonly mode: string;
  readonly type: string;
  readonly id: string;
  readonly size: number;
  readonly path: string;
}

export interface GitTree {
  readonly gitDir: string;
  readonly commit: string;
  /** Empty: the root. */
  readonly folder: string;
  readonly signal?: AbortSignal;
}

/**
 * The policy files of a folder, by the same rules as in a directory: `.yaml` and `.yml`, nothing hidden. Links and submodules
 * are not followed: a link of such a name is a file that can't be read.
 * @throws CommitRefusedError where there is no such folder, or far too much in it
 */
export async function readTree(tree: GitTree): Promise<readonly SourceFile[]> {
  const entries = (await list(tree)).filter(({ path, type }) => type === 'blob' && isPolicyFile(path));
  if (entries.length > mostFiles)
    throw new CommitRefusedError(`there are more than ${mostFiles} policy files in it`);
  const wanted = entries.filter((entry) => refusal(entry) === null);
  if (wanted.reduce((sum, { size }) => sum + size, 0) > mostBytes) {
    throw new CommitRefusedError(`its policy files have more than ${mostBytes / 1024 / 1024} MiB`);
  }
  const texts = await blobs(
    wanted.map(({ id }) => id),
    tree,
  );
  return entries.map((entry): SourceFile => {
    const path = shownPath(tree.folder, entry.path);
    const refused = refusal(entry);
    if (refused !== null) return { path, unreadable: refused, hint: 'write a regular file' };
    return decoded(path, texts.get(entry.id));
  });
}

async function list({ gitDir, commit, folder, signal }: GitTree): Promise<readonly Entry[]> {
  const run: Omit<GitRun, 'args'> = {
    timeoutMs,
    mostOutputBytes: mostListingBytes,
    ...(signal ? { signal } : {}),
  };
  const of = `${commit}:${folder}`;
  const type = await runGit({ ...run, args: ['--git-dir', gitDir, 'cat-file', '-t', of] }).then(
    String,
    (error: unknown) => {
      if (error instanceof GitExitError && error.message.startsWith("path '")) return '';
      throw error;
    },
  );
  if (type.trim() !== 'tree') {
    throw new CommitRefusedError(`there is no folder "${folder}" in ${commit.slice(0, 12)}`);
  }
  const output = await runGit({
    ...run,
    args: ['--git-dir', gitDir, 'ls-tree', '-r', '-z', '--long', '--full-tree', of],
  });
  // A name that is no UTF-8 can't be shown, nor can it be a place in a problem.
  const lines = output.toString('utf8').split('\0');
  return lines.flatMap((line) => {
    const [, mode, type, id, size, path] = /^(\d+) (\w+) ([0-9a-f]+) +(\d+|-)\t([\s\S]+)$/.exec(line) ?? [];
    if (mode === undefined || type === undefined || id === undefined || path === undefined) return [];
    return [{ mode, type, id, size: size === '-' ? 0 : Number(size), path }];
  });
}

function isPolicyFile(path: string): boolean {
  return /\.ya?ml$/.test(path) && !path.split('/').some((part) => part.startsWith('.'));
}

function refusal({ mode, size }: Entry): string | null {
  if (mode === '120000') return 'it is a symbolic link, which is not followed in a repository';
  if (size <= largestFileBytes) return null;
  return `the file has ${(size / 1024 / 1024).toFixed(1)} MiB, more than the 1 MiB a policy file may have`;
}

/** The blobs by id, in one run of git. */
async function blobs(
  ids: readonly string[],
  { gitDir, signal }: GitTree,
): Promise<ReadonlyMap<string, Buffer>> {
  const found = new Map<string, Buffer>();
  if (ids.length === 0) return found;
  const output = await runGit({
    args: ['--git-dir', gitDir, 'cat-file', '--batch'],
    input: `${[...new Set(ids)].join('\n')}\n`,
    timeoutMs,
    mostOutputBytes: mostBytes + ids.length * 128,
    ...(signal ? { signal } : {}),
  });
  let at = 0;
  while (at < output.length) {
    const end = output.indexOf(10, at);
    const [id = '', type, size] = output.toString('latin1', at, end).split(' ');
    if (end === -1 || type !== 'blob') throw new GitError('an object of the repository is missing');
    found.set(id, output.subarray(end + 1, end + 1 + Number(size)));
    at = end + 1 + Number(size) + 1;
  }
  return found;
}

function decoded(path: string, content: Buffer | undefined): SourceFile {
  if (content === undefined) return { path, unreadable: 'its content is missing in the repository' };
  try {
    return { path, text: new TextDecoder('utf-8', { fatal: true }).decode(content) };
  } catch {
    return { path, unreadable: 'the file is binary (not UTF-8 text)' };
  }
}

/** From the root of the repository; control characters would move the cursor of who reads it. */
function shownPath(folder: string, path: string): string {
  return `${folder === '' ? '' : `${folder}/`}${path}`.replace(/\p{Cc}/gu, '\ufffd');
}
