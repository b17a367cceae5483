/**
 * Policies from a Git repository, by the git program: looked at from time to time and whenever they are read. The last good
 * commit stays, also over a restart, while the repository is out of reach, or its commit is none that may be taken.
 * @module
 */
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type GitAccess, type GitSecrets, gitAccess, verifyCommit } from './git-access.ts';
import { CommitRefusedError, GitError, runGit } from './git-program.ts';
import { commitId, type Tip, tipOf } from './git-tip.ts';
import { readTree } from './git-tree.ts';
import { type GitLocation, shownLocation } from './git-url.ts';
import type { PolicySource, SourceFile, SourceUnavailable } from './policy.ts';
import { signersOf } from './signers.ts';

export interface GitSourceOptions extends GitSecrets {
  readonly location: GitLocation;
  /** Where commits are kept; nothing else is in it. */
  readonly directory: string;
  /** How often it is looked at; 0: only when it is read. */
  readonly intervalMs: number;
  /** What one commit may take. */
  readonly mostBytes?: number;
}

interface Commit {
  readonly id: string;
  readonly files: readonly SourceFile[];
  /** By whom it was verified; null: by nobody. */
  readonly signers: string | null;
}

const askMs = 20_000;
const fetchMs = 120_000;
const usualMostBytes = 256 * 1024 * 1024;
const ownRef = 'refs/terminals/policies';
const goodFile = 'good.json';
/** What a process that was killed left behind is this old. */
const leftMs = 10 * 60_000;
/** Tried again where another process moves its own to that place meanwhile. */
const removal = { recursive: true, force: true, maxRetries: 5 };

/** Where commits are kept below the data directory. */
export function gitDirectory(dataDir: string): string {
  return path.join(dataDir, '.terminals', 'policies-git');
}

export class GitSource implements PolicySource {
  readonly description: string;
  readonly #options: GitSourceOptions;
  #signal: AbortSignal | undefined;
  #good: Commit | null = null;
  /** A commit that may not be taken, and the signers by which it may not. */
  #refused: { readonly key: string; readonly reason: string } | null = null;
  #trouble: string | null = null;
  #looking: Promise<void> = Promise.resolve();
  #next: Promise<void> | null = null;

  constructor(options: GitSourceOptions) {
    this.#options = options;
    this.description = `Git repository ${shownLocation(options.location)}`;
  }

  /** The commit whose files `read` answered with. */
  get revision(): string | null {
    return this.#good?.id ?? null;
  }

  get signers(): string | null {
    return this.#good?.signers ?? null;
  }

  async read(): Promise<readonly SourceFile[] | SourceUnavailable> {
    await this.refresh();
    const trouble = this.#trouble;
    if (this.#good === null) return { unavailable: `the ${this.description} can't be read: ${trouble}` };
    const { id, files } = this.#good;
    if (trouble === null) return files;
    const hint = `the policies of commit ${id.slice(0, 12)} stay as they are`;
    const path = shownLocation(this.#options.location);
    return [...files, { path, unreadable: trouble, hint, declaresNothing: true }];
  }

  watch(changed: () => void, signal: AbortSignal): void {
    this.#signal = signal;
    const { intervalMs } = this.#options;
    if (intervalMs === 0 || signal.aborted) return;
    // Reading looks at the repository; without a new commit it answers with the same files.
    const timer = setInterval(changed, intervalMs).unref();
    signal.addEventListener('abort', () => clearInterval(timer), { once: true });
  }

  /** Looks whether there is a new commit; calls at the same time are answered by one look that began after them. */
  refresh(): Promise<void> {
    this.#next ??= this.#looking.then(() => {
      this.#next = null;
      this.#looking = this.#look();
      return this.#looking;
    });
    return this.#next;
  }

  async #look(): Promise<void> {
    try {
      // The mode is for this one alone: others pass through those above it.
      await mkdir(path.dirname(this.#options.directory), { recursive: true });
      await mkdir(this.#options.directory, { mode: 0o700 }).catch((error: unknown) => {
        if (!isCode(error, 'EEXIST')) throw error;
      });
      if (this.#good === null) await this.#restore();
      await this.#follow();
      this.#trouble = null;
    } catch (error) {
      this.#trouble = error instanceof Error ? error.message : String(error);
    }
  }

  async #follow(): Promise<void> {
    const { location, directory, verifyFile } = this.#options;
    const access = await gitAccess(location, this.#options, path.join(directory, 'known_hosts'));
    const tip = await tipOf(location.ref, access, this.#run(askMs));
    const signers = verifyFile === null ? null : await signersOf(verifyFile);
    // Where others may sign now, the commit in force has to be signed by one of them, too.
    if (tip.id === this.#good?.id && signers === this.#good.signers) return;
    const key = `${tip.id} ${signers}`;
    if (this.#refused?.key === key) throw new GitError(this.#refused.reason);
    const gitDir = await this.#fetch(access, tip);
    try {
      const id = await this.#resolve(gitDir);
      const files = await this.#accept(gitDir, id).catch((error: unknown) => {
        if (id === tip.id && error instanceof CommitRefusedError)
          this.#refused = { key, reason: error.message };
        throw error;
      });
      await this.#keep(gitDir, id);
      this.#good = { id, files, signers };
    } finally {
      await rm(gitDir, { recursive: true, force: true });
    }
  }

  /** Fetches one commit, without those before it, into a directory of its own, so that nothing left behind is in the way. */
  async #fetch({ url, ...access }: GitAccess, { id, ref }: Tip): Promise<string> {
    const { directory, mostBytes = usualMostBytes } = this.#options;
    const gitDir = await mkdtemp(path.join(directory, 'fetch-'));
    const format = id.length === 64 ? ['--object-format=sha256'] : [];
    try {
      const init = ['init', '--quiet', '--bare', '--template=', ...format, '--', gitDir];
      await this.#git({ args: init, timeoutMs: askMs });
      const flags = ['--quiet', '--depth=1', '--no-tags', '--no-recurse-submodules', '--no-write-fetch-head'];
      const args = ['--git-dir', gitDir, 'fetch', ...flags, '--', url, `+${ref}:${ownRef}`];
      const store = { directory: gitDir, mostBytes };
      await this.#git({ ...access, args, store, timeoutMs: fetchMs });
      return gitDir;
    } catch (error) {
      await rm(gitDir, { recursive: true, force: true });
      throw error;
    }
  }

  async #resolve(gitDir: string): Promise<string> {
    const args = ['--git-dir', gitDir, 'rev-parse', '--verify', '--quiet', `${ownRef}^{commit}`];
    return (await this.#git({ args, timeoutMs: askMs })).trim();
  }

  /** The files of a commit that may be taken. */
  async #accept(gitDir: string, commit: string): Promise<readonly SourceFile[]> {
    const { location, verifyFile } = this.#options;
    if (verifyFile !== null) await verifyCommit(gitDir, commit, verifyFile, this.#signal);
    const { folder } = location;
    return readTree({ gitDir, commit, folder, ...(this.#signal ? { signal: this.#signal } : {}) });
  }

  /** Keeps the commit for the next start; the ones before it are not needed any more. */
  async #keep(gitDir: string, id: string): Promise<void> {
    const { directory } = this.#options;
    // What is there already is of another process, which has read it, or it is damaged.
    const kept = path.join(directory, id);
    await rm(kept, removal);
    await rename(gitDir, kept).catch((error: unknown) => {
      if (!isCode(error, 'ENOTEMPTY', 'EEXIST')) throw error;
    });
    const file = path.join(directory, goodFile);
    const temporary = `${file}.${randomUUID()}.tmp`;
    await writeFile(temporary, JSON.stringify({ from: this.#from(), id }));
    await rename(temporary, file);
    for (const name of await readdir(directory)) {
      const old = path.join(directory, name);
      const left = /^(?:fetch|keys)-|\.tmp$/.test(name) && Date.now() - (await changeTime(old)) > leftMs;
      if (left || (commitId.test(name) && name !== id)) await rm(old, removal);
    }
  }

  /** Takes up what was good before this process began; checked again, since the signers may be others now. */
  async #restore(): Promise<void> {
    const { directory, verifyFile } = this.#options;
    try {
      const kept: unknown = JSON.parse(await readFile(path.join(directory, goodFile), 'utf8'));
      if (typeof kept !== 'object' || kept === null || !('id' in kept) || !('from' in kept)) return;
      const { id, from } = kept;
      if (from !== this.#from() || typeof id !== 'string' || !commitId.test(id)) return;
      const signers = verifyFile === null ? null : await signersOf(verifyFile);
      this.#good = { id, files: await this.#accept(path.join(directory, id), id), signers };
    } catch {
      // Then the repository itself has to answer.
    }
  }

  #from(): string {
    const { url, ref } = this.#options.location;
    return `${url}#${ref ?? ''}`;
  }

  async #git(run: Omit<Parameters<typeof runGit>[0], 'signal'>): Promise<string> {
    return (await runGit({ ...run, ...this.#run(run.timeoutMs) })).toString('utf8');
  }

  #run(timeoutMs: number): { readonly timeoutMs: number; readonly signal?: AbortSignal } {
    return this.#signal ? { timeoutMs, signal: this.#signal } : { timeoutMs };
  }
}

/** 0 where there is no such file. */
async function changeTime(file: string): Promise<number> {
  return stat(file).then(
    ({ mtimeMs }) => mtimeMs,
    () => 0,
  );
}

function isCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
