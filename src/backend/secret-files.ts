/**
 * The values of a policy's `secretEnv` where there are no Secrets of Kubernetes: each is the content of a file `NAME/KEY` in
 * one directory, which may be a mounted Secret or somebody's own.
 * @module
 */
import { constants, realpathSync, type Stats, statSync } from 'node:fs';
import { open, realpath } from 'node:fs/promises';
import path from 'node:path';
import { SecretMissingError } from '../errors.ts';
import type { Desired, SecretReference, Workload } from '../terminal/terminal.ts';

/** More than any key needs, and less than the kernel takes as one variable. */
const largestBytes = 64 * 1024;
/** One name of a file or folder. The schema of policies says so too; but what a policy may read is decided here. */
const plainName = /^(?!\.{1,2}$)[a-zA-Z0-9._-]+$/;
/** Neither is a link in the last step followed, as all of them were, nor does a pipe keep us waiting. */
const openFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

export class SecretFiles {
  readonly #directory: string | null;

  /** @param directory absolute; null: there is none, and every variable is missing */
  constructor(directory: string | null) {
    this.#directory = directory;
  }

  /**
   * The variables with their values, as they are now. For a terminal's environment, and for nothing else.
   * @throws SecretMissingError, which names the policy, the variable and the file, and holds no value
   */
  async variables({ key, workload }: Desired): Promise<Readonly<Record<string, string>>> {
    const read = Object.entries(workload.secretEnv).map(async ([name, reference]) => {
      try {
        return [name, await this.#read(reference)] as const;
      } catch (error) {
        throw this.#missing(name, `policy "${key.policy}"`, reference, error);
      }
    });
    return Object.fromEntries(await Promise.all(read));
  }

  /** What of a workload's secrets is not there, in a sentence; null: all files are. */
  trouble({ secretEnv }: Workload): string | null {
    for (const [name, reference] of Object.entries(secretEnv)) {
      try {
        const [root, file] = [this.#root(), this.#pathOf(reference)];
        checkFile(statSync(within(realpathSync.native(root), realpathSync.native(file))));
      } catch (error) {
        return this.#missing(name, 'the policy', reference, error).message;
      }
    }
    return null;
  }

  async #read(reference: SecretReference): Promise<string> {
    const file = within(await realpath(this.#root()), await realpath(this.#pathOf(reference)));
    const handle = await open(file, openFlags);
    try {
      checkFile(await handle.stat());
      return textOf(await handle.readFile());
    } finally {
      await handle.close();
    }
  }

  #root(): string {
    if (this.#directory === null) throw new Unfit('TERMINALS_SECRETS_DIR is not set');
    return this.#directory;
  }

  #pathOf({ name, key }: SecretReference): string {
    if (!plainName.test(name) || !plainName.test(key)) throw new Unfit('that is no plain name');
    return path.join(this.#root(), name, key);
  }

  #missing(
    variable: string,
    whose: string,
    { name, key }: SecretReference,
    error: unknown,
  ): SecretMissingError {
    const file = `${this.#directory ?? '<TERMINALS_SECRETS_DIR>'}/${name}/${key}`;
    return new SecretMissingError(
      `The variable ${variable} of ${whose} has no value: ${file} can't be read (${reasonOf(error)}).`,
      this.#directory === null
        ? `Set TERMINALS_SECRETS_DIR, and write the value into the file ${name}/${key} there.`
        : 'Write the value into that file, and let Terminals read it.',
    );
  }
}

/** A file that is there, and is not taken. */
class Unfit extends Error {}

function reasonOf(error: unknown): string {
  if (error instanceof Unfit) return error.message;
  return error instanceof Error && 'code' in error ? String(error.code) : 'it is not readable';
}

/** Links within the directory are how Kubernetes mounts a Secret; one that leads out of it could show any file. */
function within(root: string, file: string): string {
  if (!file.startsWith(`${root}${path.sep}`)) throw new Unfit('it is a link that leads out of the directory');
  return file;
}

function checkFile(stats: Stats): void {
  if (!stats.isFile()) throw new Unfit('it is not a file');
  if (stats.size > largestBytes) throw new Unfit(`it has more than ${largestBytes / 1024} KiB`);
}

/** Without the one line feed that editors and `echo` leave at the end. @throws Unfit for what no variable can hold */
function textOf(bytes: Uint8Array): string {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Unfit('it is not text in UTF-8');
  }
  if (text.includes('\0')) throw new Unfit('it holds a NUL');
  return text.replace(/\r?\n$/, '');
}
