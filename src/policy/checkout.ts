/** The commit that is checked out where a directory is, read from Git's own files: no program is needed for it. @module */
import { readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';

const id = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/** The commit of HEAD; null where the directory is in no checkout, or it can't be told. */
export async function checkedOutCommit(directory: string): Promise<string | null> {
  try {
    const gitDir = await findGitDir(await realpath(directory));
    return gitDir === null ? null : await headOf(gitDir);
  } catch {
    return null;
  }
}

async function findGitDir(start: string): Promise<string | null> {
  for (let folder = start; ; folder = path.dirname(folder)) {
    const found = path.join(folder, '.git');
    const about = await stat(found).catch(() => null);
    if (about?.isDirectory()) return found;
    // Of a worktree or a submodule it is a file that says where.
    if (about?.isFile()) {
      const [, target] = /^gitdir: (.+)$/m.exec(await readFile(found, 'utf8')) ?? [];
      return target === undefined ? null : path.resolve(folder, target);
    }
    if (folder === path.dirname(folder)) return null;
  }
}

async function headOf(gitDir: string): Promise<string | null> {
  const head = (await readFile(path.join(gitDir, 'HEAD'), 'utf8')).trim();
  if (id.test(head)) return head;
  const [, ref] = /^ref: (refs\/[^\s]+)$/.exec(head) ?? [];
  if (ref === undefined || ref.split('/').includes('..')) return null;
  const shared = await readFile(path.join(gitDir, 'commondir'), 'utf8').catch(() => '.');
  const common = path.resolve(gitDir, shared.trim());
  const loose = (await readFile(path.join(common, ref), 'utf8').catch(() => '')).trim();
  if (id.test(loose)) return loose;
  const packed = await readFile(path.join(common, 'packed-refs'), 'utf8').catch(() => '');
  const line = packed.split('\n').find((one) => one.endsWith(` ${ref}`));
  const [commit = ''] = line?.split(' ') ?? [];
  return id.test(commit) ? commit : null;
}
