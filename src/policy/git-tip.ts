/** Which commit of a repository is wanted now. @module */
import type { GitAccess } from './git-access.ts';
import { GitError, runGit } from './git-program.ts';

/** Ids as SHA-1 and SHA-256 write them. */
export const commitId = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/** A commit, and how it is asked for. */
export interface Tip {
  readonly id: string;
  readonly ref: string;
}

/**
 * @param ref null: the default branch
 * @throws GitError where there is none of that name
 */
export async function tipOf(
  ref: string | null,
  { url, ...access }: GitAccess,
  run: { readonly timeoutMs: number; readonly signal?: AbortSignal },
): Promise<Tip> {
  if (ref !== null && commitId.test(ref)) return { id: ref, ref };
  const names =
    ref === null ? ['HEAD'] : ref.startsWith('refs/') ? [ref] : [`refs/heads/${ref}`, `refs/tags/${ref}`];
  const patterns = names.flatMap((name) => [name, `${name}^{}`]);
  const args = ['ls-remote', '--quiet', '--', url, ...patterns];
  const output = (await runGit({ ...access, ...run, args })).toString('utf8');
  const ids = new Map(
    output.split('\n').map((line) => {
      const [id = '', name = ''] = line.split('\t');
      return [name, id];
    }),
  );
  for (const name of names) {
    // Of an annotated tag the commit that it names.
    const id = ids.get(`${name}^{}`) ?? ids.get(name);
    if (id !== undefined && commitId.test(id)) return { id, ref: name };
  }
  throw new GitError(
    ref === null ? 'the repository has no commit yet' : `there is no branch or tag "${ref}"`,
  );
}
