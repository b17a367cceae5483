/**
 * A validated policy, the set of all of them, and what is wrong with the rest.
 * @module
 */
import type { PolicyId } from '../terminal/terminal.ts';
import type { PolicySpec } from './policy-spec.ts';

export type { PolicySpec } from './policy-spec.ts';

/** Where something stands in a source; lines and columns from 1. */
export interface Place {
  /** Path as the source names it (relative to the working directory where possible), or `(built-in)`. */
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

export interface Policy {
  readonly id: PolicyId;
  /** Every default filled in, every `TERMINALS_MAX_*` bound applied. */
  readonly spec: PolicySpec;
  readonly declaredAt: Place;
}

/** One thing that is wrong with a policy source, and what to write instead. */
export interface Problem extends Place {
  readonly severity: 'error' | 'warning';
  /** Path in the document, e.g. `spec.resources.limits.memory`; empty for the file as a whole. */
  readonly path: string;
  readonly message: string;
  /** What to write instead; empty where the message says it all. */
  readonly hint: string;
}

/** All policies in force at one revision, with the problems of those that are not (their last good version stays). */
export interface PolicySet {
  /** Changes exactly when a policy in force changes. */
  readonly revision: string;
  readonly policies: ReadonlyMap<PolicyId, Policy>;
  readonly problems: readonly Problem[];
}

/** Where policies come from: a watched directory now, a ConfigMap or a Git URL in the same shape. */
export interface PolicySource {
  /** Where from, for people: "directory policies". */
  readonly description: string;
  /** Reads everything once; a source that can't be read answers with a problem in the files, it does not throw. */
  read(): Promise<readonly SourceFile[] | SourceUnavailable>;
  /** Calls back, debounced, whenever `read` may answer differently, until the signal aborts. */
  watch(changed: () => void, signal: AbortSignal): void;
}

/** One file of a source: its text, or why it could not be read. */
export type SourceFile =
  | { readonly path: string; readonly text: string }
  | { readonly path: string; readonly unreadable: string };

/** The whole source is out of reach (directory deleted, API server away): nothing may be concluded from that. */
export interface SourceUnavailable {
  readonly unavailable: string;
}
