/**
 * A validated policy, the set of all of them, and what is wrong with the rest.
 * @module
 */
import type { PolicyId } from '../terminal/terminal.ts';
import type { Layer, Origins } from './layers.ts';
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
  /** The policy that it extends. */
  readonly extends?: PolicyId;
  /** Where each value of the spec was written: here, in a policy that it extends, or in the folder's defaults. */
  readonly origins?: Origins;
}

/** What the configuration says where a policy says nothing; it comes before the schema's own defaults. */
export interface PolicyDefaults {
  readonly image?: string;
  readonly idleTimeoutMinutes?: number;
  readonly persistence?: { readonly enabled?: boolean; readonly size?: string };
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
  /** In force as they last were good: what is declared of them now has errors. */
  readonly lastGood?: ReadonlySet<PolicyId>;
  /** What the source calls the state that was read, such as a Git commit; absent where it has no name for it. */
  readonly source?: string;
  /** Those by whom that state was verified, as the source tells them apart; absent: it was not. */
  readonly signers?: string;
  /** At a start: the built-in policy was in force before it, and is again while the source is out of reach. */
  readonly builtinBefore?: boolean;
  /** What could not be read of the files, so that the next reading can tell what is new; absent: nothing. */
  readonly unread?: Unread;
  /** The folder's `PolicyDefaults` in force; null: they were broken from the beginning; absent: there are none. */
  readonly defaults?: Layer | null;
}

/** Files that may declare anything, since they can't be read, at least in part. */
export interface Unread {
  /** With something in them. */
  readonly broken: ReadonlySet<string>;
  readonly empty: ReadonlySet<string>;
  /** By the name of a policy that is declared nowhere else: the files that may declare it; null: the folder's defaults. */
  readonly held: ReadonlyMap<PolicyId | null, readonly string[]>;
}

/** How far a policy is: of the three conditions that Kubernetes tools know (kstatus) the one that holds. */
export interface Standing {
  readonly type: 'Ready' | 'Reconciling' | 'Stalled';
  /** One word in CamelCase. */
  readonly reason: string;
  readonly message: string;
  /** ISO time. */
  readonly lastTransitionTime: string;
}

/** Where policies come from: a watched directory, a Git URL, or a ConfigMap in the same shape. */
export interface PolicySource {
  /** Where from, for people: "directory policies". */
  readonly description: string;
  /** Reads everything once; a source that can't be read answers with a problem in the files, it does not throw. */
  read(): Promise<readonly SourceFile[] | SourceUnavailable>;
  /** What it calls the state that `read` answered last, such as a Git commit; null: it has no name for it. */
  readonly revision?: string | null;
  /** Those by whom that state was verified, told apart from others; null: it was not. */
  readonly signers?: string | null;
  /** Looks at once whether there is something new; `read` does so, too. */
  refresh?(): Promise<void>;
  /** Calls back, debounced, whenever `read` may answer differently, until the signal aborts. */
  watch(changed: () => void, signal: AbortSignal): void;
  /** Told what became of what was read, so that the source can show it where it comes from. */
  report?(set: PolicySet): void;
  /** Told how far each policy is, likewise, as often as that may have changed. */
  announce?(standings: ReadonlyMap<PolicyId, Standing>): void;
  /**
   * Calls back when somebody asks, at the source, for all to be read and looked at now; the source says so there when that
   * is done. The listener never rejects.
   */
  onRequest?(listener: () => Promise<void>): void;
}

/** One file of a source: its text, or why it could not be read. */
export type SourceFile =
  | { readonly path: string; readonly text: string }
  | {
      readonly path: string;
      readonly unreadable: string;
      /** What to do about it, where that is not the usual. */
      readonly hint?: string;
      /** It is no file, but says something of the source: nothing can be declared in it. */
      readonly declaresNothing?: boolean;
    };

/** The whole source is out of reach (directory deleted, API server away): nothing may be concluded from that. */
export interface SourceUnavailable {
  readonly unavailable: string;
  /** There is no such place (yet), so that nobody has declared anything there, unless it is known of before. */
  readonly absent?: boolean;
}
