/**
 * A policy file as it would be, and what would come of it, before anything is written.
 * @module
 */
import { InvalidPolicyError } from '../errors.ts';
import type { PolicyId } from '../terminal/terminal.ts';
import type { Policy, PolicySet, Problem, SourceFile } from './policy.ts';
import { buildPolicySet, type PolicyRules } from './policy-set.ts';
import { type Edit, editDocument, NotEditableError, newDocument } from './policy-text.ts';

/** A file as it will be. */
export interface Draft {
  readonly file: string;
  readonly text: string;
  /** The lines of the policy's document in it. */
  readonly lines: { readonly first: number; readonly last: number };
}

export function draftOf(file: string, text: string, id: string, line: number, edits: readonly Edit[]): Draft {
  return { file, ...editDocument(text, id, line, edits) };
}

export function newDraft(file: string, id: string, edits: readonly Edit[]): Draft {
  return draftOf(file, newDocument(id), id, 1, edits);
}

export function textOf(files: readonly SourceFile[], file: string): string {
  const found = files.find((each) => each.path === file);
  if (found !== undefined && 'text' in found) return found.text;
  throw new NotEditableError(found === undefined ? 'it is gone' : found.unreadable);
}

/** @param text null: without the file */
function withFile(files: readonly SourceFile[], file: string, text: string | null): readonly SourceFile[] {
  const others = files.filter((each) => each.path !== file);
  return text === null ? others : [...others, { path: file, text }];
}

/** Builds all policies as they would be, those of other files included. */
export class DraftCheck {
  readonly #rules: PolicyRules;
  readonly #store: { readonly current: PolicySet };

  constructor(rules: PolicyRules, store: { readonly current: PolicySet }) {
    this.#rules = rules;
    this.#store = store;
  }

  /** The policy as it would be in force; null where it would not, or where something else would break. */
  expected(files: readonly SourceFile[], draft: Draft, id: string): Policy | null {
    if (this.#wrong(files, draft, 'run').length > 0) return null;
    const { policies } = this.#build(withFile(files, draft.file, draft.text), 'run');
    const policy = policies.get(id as PolicyId);
    return policy?.declaredAt.file === draft.file ? policy : null;
  }

  /** Bounds are held as `terminals validate` holds them: what goes into Git has to pass there, too. */
  validate(files: readonly SourceFile[], draft: Draft, id: string): void {
    refuse(this.#wrong(files, draft, 'validate'));
    if (this.expected(files, draft, id) === null) refuse([`the policy "${id}" would not be in force`]);
  }

  /** The errors of the draft's document, and those that it makes elsewhere. */
  #wrong(
    files: readonly SourceFile[],
    { file, text, lines }: Draft,
    mode: PolicyRules['mode'],
  ): readonly string[] {
    const isOwn = (problem: Problem) =>
      problem.file === file && problem.line >= lines.first && problem.line <= lines.last;
    return this.#newErrors(files, withFile(files, file, text), mode, isOwn);
  }

  /** @throws InvalidPolicyError where another policy needs what the file has no longer */
  allowRemoval(files: readonly SourceFile[], file: string, rest: string | null): void {
    refuse(this.#newErrors(files, withFile(files, file, rest), 'run', () => false));
  }

  #newErrors(
    before: readonly SourceFile[],
    after: readonly SourceFile[],
    mode: PolicyRules['mode'],
    isOwn: (problem: Problem) => boolean,
  ): readonly string[] {
    const errorsOf = (files: readonly SourceFile[]) =>
      this.#build(files, mode).problems.filter(({ severity }) => severity === 'error');
    const known = new Set(errorsOf(before).map(words));
    const found = errorsOf(after).filter((problem) => isOwn(problem) || !known.has(words(problem)));
    return [...new Set(found.map(words))];
  }

  #build(files: readonly SourceFile[], mode: PolicyRules['mode']): PolicySet {
    return buildPolicySet(files, this.#store.current, { ...this.#rules, mode });
  }
}

/** @throws InvalidPolicyError where something is wrong */
function refuse(wrong: readonly string[]): void {
  if (wrong.length === 0) return;
  throw new InvalidPolicyError(
    `The policies would not be valid: ${wrong.join('; ')}.`,
    'Mend that and send it again.',
  );
}

function words({ path: field, message, hint }: Problem): string {
  return `${field === '' ? '' : `${field}: `}${message}${hint === '' ? '' : ` (${hint})`}`;
}
