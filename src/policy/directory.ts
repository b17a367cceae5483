/**
 * Policies from a directory: a Git checkout, or a mounted ConfigMap.
 * @module
 */
import { createHash } from 'node:crypto';
import { lstat, open, readdir, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { type FSWatcher, watch } from 'chokidar';
import { checkedOutCommit } from './checkout.ts';
import { largestFileBytes } from './document.ts';
import type { PolicySource, SourceFile, SourceUnavailable } from './policy.ts';

/** Quiet for this long after a change before it is told: a `git pull` writes many files. */
const usualQuietMs = 100;
/** Told at the latest after so many times that, however long the writing goes on. */
const longestQuiets = 10;
/**
 * File events get lost (network file systems, a directory that is not there yet or was replaced), so that a cheap digest of
 * names and times is compared now and then.
 */
const compareMs = 2_000;
const deepest = 16;

interface FoundFile {
  readonly file: string;
  readonly size: number;
  readonly mtimeMs: number;
  readonly ino: number;
}

export class DirectorySource implements PolicySource {
  readonly #directory: string;
  readonly #shown: string;
  readonly #quietMs: number;
  #digest = '';
  #revision: string | null = null;

  /**
   * @param directory where the policies are
   * @param cwd problems name files relative to this
   * @param quietMs what was quiet for so long after a change is told
   */
  constructor(directory: string, cwd: string, quietMs = usualQuietMs) {
    this.#quietMs = quietMs;
    this.#directory = path.resolve(cwd, directory);
    const relative = path.relative(cwd, this.#directory);
    this.#shown = relative.startsWith('..') || path.isAbsolute(relative) ? this.#directory : relative;
  }

  get description(): string {
    return `directory ${this.#shown || '.'}`;
  }

  /** The commit that is checked out there; null where it is no checkout. */
  get revision(): string | null {
    return this.#revision;
  }

  async read(): Promise<readonly SourceFile[] | SourceUnavailable> {
    try {
      this.#revision = await checkedOutCommit(this.#directory);
      const found = await findPolicyFiles(this.#directory);
      this.#digest = digestOf(found, this.#revision);
      return await Promise.all(found.map((file) => this.#readOne(file)));
    } catch (error) {
      this.#digest = '';
      const unavailable = `the directory ${this.#shown || '.'} can't be read: ${reason(error)}`;
      return (await isMissing(this.#directory)) ? { unavailable, absent: true } : { unavailable };
    }
  }

  watch(changed: () => void, signal: AbortSignal): void {
    const settled = debounce(changed, this.#quietMs);
    const watcher = this.#watchEvents(settled.call);
    const timer = setInterval(() => void this.#compare(settled.call), compareMs).unref();
    signal.addEventListener(
      'abort',
      () => {
        clearInterval(timer);
        settled.cancel();
        void watcher.close();
      },
      { once: true },
    );
  }

  #watchEvents(changed: () => void): FSWatcher {
    const watcher = watch(this.#directory, {
      ignoreInitial: true,
      // A mounted ConfigMap is swapped by renaming `..data`; its older copies beside it say nothing.
      ignored: (file) => isHidden(path.relative(this.#directory, file)) && path.basename(file) !== '..data',
      depth: deepest,
    });
    watcher.on('all', changed);
    // What changed before the watcher had looked around made no event.
    watcher.on('ready', () => void this.#compare(changed));
    // What can't be watched (too many watches, say) is found by the comparison.
    watcher.on('error', () => undefined);
    return watcher;
  }

  async #compare(changed: () => void): Promise<void> {
    const digest = await this.#look().catch(() => '');
    if (digest !== this.#digest) changed();
  }

  async #look(): Promise<string> {
    const revision = await checkedOutCommit(this.#directory);
    return digestOf(await findPolicyFiles(this.#directory), revision);
  }

  async #readOne({ file }: FoundFile): Promise<SourceFile> {
    const shown = path.join(this.#shown, path.relative(this.#directory, file));
    try {
      return { path: shown, text: await readText(file) };
    } catch (error) {
      return { path: shown, unreadable: reason(error) };
    }
  }
}

/**
 * Reads given files and directories once, as `terminals validate` needs it; what is not there is a file that can't be read, and
 * what is named twice is one file.
 */
export async function readPaths(paths: readonly string[], cwd: string): Promise<readonly SourceFile[]> {
  const read = paths.map(async (given): Promise<readonly SourceFile[]> => {
    const absolute = path.resolve(cwd, given);
    try {
      if (!(await stat(absolute)).isDirectory()) return [{ path: given, text: await readText(absolute) }];
    } catch (error) {
      return [{ path: given, unreadable: reason(error) }];
    }
    const files = await new DirectorySource(absolute, cwd).read();
    return 'unavailable' in files ? [{ path: given, unreadable: files.unavailable }] : files;
  });
  const seen = new Set<string>();
  return (await Promise.all(read)).flat().filter((file) => {
    const absolute = path.resolve(cwd, file.path);
    return !seen.has(absolute) && seen.add(absolute);
  });
}

/** All policy files below a directory, sorted; hidden entries are left out, links are followed, loops are not. */
async function findPolicyFiles(directory: string): Promise<readonly FoundFile[]> {
  const found: FoundFile[] = [];
  const visited = new Set<string>();

  async function visit(folder: string, depth: number): Promise<void> {
    const real = await realpath(folder);
    if (visited.has(real) || depth > deepest) return;
    visited.add(real);
    for (const { name } of await readdir(folder, { withFileTypes: true })) {
      if (name.startsWith('.')) continue;
      const file = path.join(folder, name);
      // What can't be followed (a dangling link, say) is still declared: reading it will say what is wrong.
      const status = await stat(file)
        .catch(() => lstat(file))
        .catch(() => null);
      if (status?.isDirectory()) await visit(file, depth + 1);
      else if (status !== null && /\.ya?ml$/.test(name)) {
        found.push({ file, size: status.size, mtimeMs: status.mtimeMs, ino: status.ino });
      }
    }
  }

  await visit(directory, 0);
  return found.sort((a, b) => (a.file < b.file ? -1 : 1));
}

function digestOf(files: readonly FoundFile[], revision: string | null): string {
  return createHash('sha256')
    .update(JSON.stringify([revision, files]))
    .digest('hex');
}

/** Only regular files, since a pipe would never end, and no more than a policy file may have. */
async function readText(file: string): Promise<string> {
  if (!(await stat(file)).isFile()) throw new Error('it is not a regular file');
  const handle = await open(file, 'r');
  try {
    const { size } = await handle.stat();
    if (size > largestFileBytes)
      throw new Error(
        `the file has ${(size / 1024 / 1024).toFixed(1)} MiB, more than the 1 MiB a policy file may have`,
      );
    const buffer = await handle.readFile();
    return new TextDecoder('utf-8', { fatal: true }).decode(buffer);
  } finally {
    await handle.close();
  }
}

/** Only where that is certain: what can't be looked at may be there. */
function isMissing(directory: string): Promise<boolean> {
  return stat(directory).then(
    () => false,
    (error: unknown) => error instanceof Error && 'code' in error && error.code === 'ENOENT',
  );
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? error.code : undefined;
  switch (code) {
    case 'ENOENT':
      return 'it does not exist';
    case 'EACCES':
      return 'permission denied';
    case 'ENOTDIR':
      return 'it is not a directory';
    case 'ERR_ENCODING_INVALID_ENCODED_DATA':
      return 'the file is binary (not UTF-8 text)';
    default:
      return error.message;
  }
}

function isHidden(relative: string): boolean {
  return relative.split(path.sep).some((part) => part.startsWith('.'));
}

function debounce(callback: () => void, quietMs: number): { call: () => void; cancel: () => void } {
  let timer: NodeJS.Timeout | undefined;
  let first = 0;
  const fire = () => {
    timer = undefined;
    callback();
  };
  return {
    call() {
      const now = performance.now();
      if (timer === undefined) first = now;
      clearTimeout(timer);
      timer = setTimeout(fire, Math.max(0, Math.min(quietMs, first + longestQuiets * quietMs - now))).unref();
    },
    cancel: () => clearTimeout(timer),
  };
}
