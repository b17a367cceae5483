/**
 * Changing policies where they are declared: their YAML files, edited in place, one change after the other.
 * @module
 */
import { mkdir, unlink } from 'node:fs/promises';
import path from 'node:path';
import { ConflictError, PolicyUnknownError } from '../errors.ts';
import type { PolicyId } from '../terminal/terminal.ts';
import { DraftCheck, draftOf, newDraft, textOf } from './draft.ts';
import type { Policy, PolicySet, PolicySource, PolicySpec, SourceFile } from './policy.ts';
import { type PolicyRules, sameSpec } from './policy-set.ts';
import { type Edit, removeDocument } from './policy-text.ts';
import { changesOf } from './spec-changes.ts';
import { createFile, onFile, replaceFile } from './write-file.ts';

export interface PolicyWriterOptions {
  /** Where new policies go; null: there is no directory, and nothing can be written. */
  readonly directory: string | null;
  /** What the places of policies are relative to. */
  readonly cwd: string;
  /** False: every change is refused, with the place where to make it by hand. */
  readonly enabled: boolean;
  readonly rules: PolicyRules;
  readonly source: Pick<PolicySource, 'read'>;
  readonly store: { readonly current: PolicySet; reload(): Promise<void> };
}

/** What to change, seen from the policy in force; null: there is none yet. */
export type Changes = (current: PolicySpec | null) => readonly Edit[];

export class PolicyWriter {
  readonly #options: PolicyWriterOptions;
  readonly #check: DraftCheck;
  #last: Promise<unknown> = Promise.resolve();

  constructor(options: PolicyWriterOptions) {
    this.#options = options;
    this.#check = new DraftCheck(options.rules, options.store);
  }

  /** Whether changes are written at all. */
  get enabled(): boolean {
    return this.#options.enabled && this.#options.directory !== null;
  }

  /**
   * Changes the policy, or makes it; resolves when it is in force. What changes nothing is not written, and never refused.
   * @throws ConflictError, InvalidPolicyError
   */
  put(id: string, changes: Changes): Promise<{ readonly policy: Policy; readonly created: boolean }> {
    return this.#alone(async (current) => {
      const there = current.get(id as PolicyId);
      if (there === undefined) return { policy: await this.#declare(id, changes(null)), created: true };
      return { policy: await this.#change(there, changes(there.spec)), created: false };
    });
  }

  /**
   * Makes a new policy; resolves when it is in force.
   * @throws ConflictError also where there is one of that name, InvalidPolicyError
   */
  create(id: string, changes: Changes): Promise<Policy> {
    return this.#alone(async (current) => {
      const there = current.get(id as PolicyId);
      if (there === undefined) return this.#declare(id, changes(null));
      throw new ConflictError(
        `There is a policy "${id}" already, at ${placeOf(there)}.`,
        'Change it by PUT, or take another name.',
      );
    });
  }

  /**
   * Takes the policy's document out of its file, or the file away; resolves when it is no longer in force.
   * @throws PolicyUnknownError, ConflictError also where it is in force all the same, InvalidPolicyError where another
   * policy needs it
   */
  remove(id: string): Promise<void> {
    return this.#alone(async (current) => {
      const policy = current.get(id as PolicyId);
      if (policy === undefined) throw new PolicyUnknownError(id);
      if (this.#isBuiltin(policy)) {
        throw new ConflictError(
          `The policy "${id}" is built in: no file declares it.`,
          'PUT it to declare another one in its place.',
        );
      }
      this.#mayChange(policy);
      const { file, line } = policy.declaredAt;
      const files = await this.#files();
      await onFile(file, async () => {
        const rest = removeDocument(textOf(files, file), id, line);
        this.#check.allowRemoval(files, file, rest);
        const real = path.resolve(this.#options.cwd, file);
        if (rest === null) await unlink(real);
        else await replaceFile(real, rest);
      });
      await this.#gone(id, file);
    });
  }

  /** One change after the other, each on what is in the files at that time. */
  #alone<T>(change: (current: ReadonlyMap<PolicyId, Policy>) => Promise<T>): Promise<T> {
    const { store } = this.#options;
    const turn = this.#last.then(async () => {
      await store.reload();
      return change(store.current.policies);
    });
    this.#last = turn.catch(() => undefined);
    return turn;
  }

  async #change(policy: Policy, edits: readonly Edit[]): Promise<Policy> {
    if (edits.length === 0) return policy;
    if (this.#isBuiltin(policy)) return this.#declareBuiltin(policy, edits);
    const { file, line } = policy.declaredAt;
    const files = await this.#files();
    const draft = await onFile(file, async () => draftOf(file, textOf(files, file), policy.id, line, edits));
    const expected = this.#check.expected(files, draft, policy.id);
    if (expected !== null) {
      refuseInherited(expected, edits);
      if (sameSpec(expected.spec, policy.spec)) return policy;
    }
    this.#mayChange(policy);
    this.#check.validate(files, draft, policy.id);
    await onFile(file, () => replaceFile(path.resolve(this.#options.cwd, file), draft.text));
    return this.#inForce(policy.id, expected, file);
  }

  /** The built-in policy, with the changes, as a file. */
  async #declareBuiltin(policy: Policy, edits: readonly Edit[]): Promise<Policy> {
    const files = await this.#files();
    const file = path.join(this.#shownDirectory() ?? '', `${policy.id}.yaml`);
    const plain = this.#check.expected(files, newDraft(file, policy.id, []), policy.id);
    // A file has other defaults than the built-in policy; what the change does not name stays as it is.
    const kept = plain === null ? [] : changesOf(policy.spec, plain.spec);
    const all = [...kept, ...edits];
    const expected = this.#check.expected(files, newDraft(file, policy.id, all), policy.id);
    if (expected !== null && sameSpec(expected.spec, policy.spec)) return policy;
    return this.#declare(policy.id, all);
  }

  /** A policy that no file declares yet. */
  async #declare(id: string, edits: readonly Edit[]): Promise<Policy> {
    const { cwd, enabled } = this.#options;
    const directory = this.#shownDirectory();
    if (directory === null) {
      throw new ConflictError(
        'There is no policies directory here, so that nothing can be written.',
        'Set TERMINALS_POLICIES_DIR.',
      );
    }
    if (!enabled) {
      throw new ConflictError(
        `No file declares the policy "${id}", and this server writes none.`,
        `Add a file to the directory ${directory}, or set TERMINALS_POLICY_WRITES=true.`,
      );
    }
    const files = await this.#files();
    // Checked before the name becomes part of a path.
    const draft = newDraft('(new)', id, edits);
    this.#check.validate(files, draft, id);
    const file = path.join(directory, `${id}.yaml`);
    const expected = this.#check.expected(files, { ...draft, file }, id);
    await onFile(file, async () => {
      await mkdir(path.resolve(cwd, directory), { recursive: true });
      await createFile(path.resolve(cwd, file), draft.text);
    });
    return this.#inForce(id, expected, file);
  }

  /** The directory as places of policies name it. */
  #shownDirectory(): string | null {
    const { directory, cwd } = this.#options;
    if (directory === null) return null;
    const absolute = path.resolve(cwd, directory);
    const relative = path.relative(cwd, absolute);
    return relative.startsWith('..') ? absolute : relative || '.';
  }

  async #files(): Promise<readonly SourceFile[]> {
    const files = await this.#options.source.read();
    if (!('unavailable' in files)) return files;
    // A directory that is not there yet is made with its first policy.
    const { policies } = this.#options.store.current;
    if ([...policies.values()].every((policy) => this.#isBuiltin(policy))) return [];
    throw new ConflictError(`The policies can't be read: ${files.unavailable}.`, 'Mend that first.');
  }

  async #inForce(id: string, expected: Policy | null, file: string): Promise<Policy> {
    const { store } = this.#options;
    await store.reload();
    const policy = store.current.policies.get(id as PolicyId);
    if (policy !== undefined && expected !== null && sameSpec(policy.spec, expected.spec)) return policy;
    const instead = policy === undefined ? 'it is not in force' : `the one at ${placeOf(policy)} is in force`;
    throw new ConflictError(
      `The policy "${id}" was written to ${file}, but ${instead}.`,
      'GET /api/v1/status lists the problems of the policies.',
    );
  }

  async #gone(id: string, file: string): Promise<void> {
    const { store } = this.#options;
    await store.reload();
    const policy = store.current.policies.get(id as PolicyId);
    if (policy === undefined || this.#isBuiltin(policy)) return;
    const stays = store.current.lastGood?.has(policy.id) === true;
    throw new ConflictError(
      `The policy "${id}" was taken out of ${file}, but ${stays ? 'stays in force' : `the one at ${placeOf(policy)} is in force`}.`,
      stays
        ? "It may be in what can't be read of the files; GET /api/v1/status lists their problems."
        : 'Delete that one, too.',
    );
  }

  #mayChange(policy: Policy): void {
    if (this.enabled) return;
    throw new ConflictError(
      `The policy "${policy.id}" is declared at ${placeOf(policy)}, and this server does not write it.`,
      this.#options.directory === null
        ? 'Change it there.'
        : 'Change it there, or set TERMINALS_POLICY_WRITES=true.',
    );
  }

  #isBuiltin({ declaredAt }: Policy): boolean {
    return declaredAt.file === this.#options.rules.builtin.declaredAt.file;
  }
}

/** What a policy inherits can't be taken out of it. */
function refuseInherited({ id, spec }: Policy, edits: readonly Edit[]): void {
  const left = edits.find(
    ({ path: [, field, name = ''], value }) =>
      field === 'env' && value === undefined && spec.env[name] !== undefined,
  );
  if (left === undefined) return;
  throw new ConflictError(
    `The policy "${id}" inherits the variable ${left.path[2]} from another document.`,
    'Take it out there.',
  );
}

function placeOf({ declaredAt }: Policy): string {
  return `${declaredAt.file}:${declaredAt.line}`;
}
