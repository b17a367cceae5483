/**
 * The words of the heart: which terminal (key), what it should be (desired), what it is (actual).
 *
 * Everything under `terminal/` is pure: no I/O, no clock of its own, no import from outside this folder.
 * @module
 */

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** A policy's id: a DNS-1123 label, as in `/p/{id}/`. */
export type PolicyId = Branded<'PolicyId'>;
/** A user's id exactly as the caller sent it; never used as a path or a name without `names.ts`. */
export type UserId = Branded<'UserId'>;
/** `chat:<id>` or `automation:<id>`; null stands for the default context. */
export type ContextId = Branded<'ContextId'>;
/** A safe, unique name of one terminal (see `terminalName`): container name, map key, log field. */
export type TerminalName = Branded<'TerminalName'>;
/** Hash of everything whose change needs another container. */
export type Revision = Branded<'Revision'>;

/** What one terminal belongs to. */
export interface TerminalKey {
  readonly policy: PolicyId;
  readonly user: UserId;
  readonly context: ContextId | null;
}

/** A host path made visible in a terminal. */
export interface Mount {
  readonly source: string;
  readonly target: string;
  readonly readOnly: boolean;
}

/** Where a value is that policies don't hold: a Secret and its key, or a folder and its file. */
export interface SecretReference {
  readonly name: string;
  readonly key: string;
}

/** What is laid over a terminal's Pod (Kubernetes). */
export interface PodTemplate {
  readonly metadata?:
    | {
        readonly labels?: Readonly<Record<string, string>> | undefined;
        readonly annotations?: Readonly<Record<string, string>> | undefined;
      }
    | undefined;
  readonly spec?: Readonly<Record<string, unknown>> | undefined;
}

/** The part of a terminal that can change only by replacing its container; hashed into the revision. */
export interface Workload {
  readonly image: string;
  readonly env: Readonly<Record<string, string>>;
  /** Variables by name, and where their values are; the values are nowhere in here. */
  readonly secretEnv: Readonly<Record<string, SecretReference>>;
  readonly packages: readonly string[];
  readonly pipPackages: readonly string[];
  /** Domains that may be reached; null: no restriction. An empty list blocks everything. */
  readonly allowedDomains: readonly string[] | null;
  readonly mounts: readonly Mount[];
  /** null: the policy says nothing of it. */
  readonly podTemplate: PodTemplate | null;
  /** Whether the home outlives the container. */
  readonly persistent: boolean;
  /** What the backend's own configuration adds, e.g. its networks. */
  readonly platform: Readonly<Record<string, string>>;
}

/** What can be changed in place, without a restart. */
export interface Limits {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly pids: number;
}

/** What is set aside for a terminal where there is a scheduler (Kubernetes). Changed in place. */
export interface Reservation {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly homeBytes: number;
  /** null: whatever the cluster's default is. */
  readonly storageClass: string | null;
}

/** What a policy makes of every one of its terminals. */
export interface Template {
  readonly revision: Revision;
  readonly workload: Workload;
  readonly limits: Limits;
  /** null: the policy says nothing of it. */
  readonly reservation: Reservation | null;
  /** 0: never. */
  readonly idleTimeoutMs: number;
  /** After so long without use the terminal of a chat or an automation is deleted; 0: never. */
  readonly contextRetentionMs: number;
  /** How long a start may take until /health answers, packages included. */
  readonly startTimeoutMs: number;
  readonly rollout: Rollout;
  /** When its home is emptied; null: never. */
  readonly reset: Reset | null;
  /** The policy is suspended: its terminals are left as they are. */
  readonly suspended: boolean;
  /** How many are kept started that are nobody's yet. */
  readonly warm: number;
}

/** What one terminal should be. */
export interface Desired extends Template {
  readonly key: TerminalKey;
  readonly name: TerminalName;
}

/** When a changed workload replaces a running terminal. */
export interface Rollout {
  readonly when: 'idle' | 'nextStart' | 'now';
  /** Quiet time after which a terminal counts as idle for a replacement. */
  readonly idleAfterMs: number;
  /** After this long a busy terminal is replaced all the same; null: it waits as long as it takes. */
  readonly maxDelayMs: number | null;
  /** How many are replaced at a time: so many, and this share of all; one at least. */
  readonly maxUnavailable: { readonly count: number; readonly share: number };
  /** So many failed starts in a row stall the rollout. */
  readonly pauseOnFailures: number;
  /** When running terminals may be replaced; null: at any time. */
  readonly window: Window | null;
}

/** The emptying of homes by a schedule. */
export interface Reset {
  /** A date and time, @daily, @weekly, @monthly, or cron, five fields. */
  readonly schedule: string;
  readonly timezone: string;
  /** Paths in the home that stay. */
  readonly keep: readonly string[];
}

/** A time that opens by a schedule. */
export interface Window {
  /** Cron, five fields. */
  readonly schedule: string;
  readonly durationMs: number;
  readonly timezone: string;
}

/** Where a terminal's server answers. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

/** What the backend knows of a terminal in every phase. */
interface Observed {
  readonly key: TerminalKey;
  readonly name: TerminalName;
  /** The revision it was made from, and the workload where the backend remembers it (for the plan's words). */
  readonly revision: Revision;
  readonly fingerprint: WorkloadFingerprint | null;
  /** Those that the backend enforces; null: none. */
  readonly limits: Partial<Limits> | null;
  /** Idle timeout it was made with: what counts once its policy is gone. Milliseconds, 0: never. */
  readonly idleTimeoutMs: number;
  /** What else it was declared with (`settingsOf`), where the backend keeps that. */
  readonly settings?: Settings;
  /** Since when its home is clean, where the backend keeps that. */
  readonly clean?: Clean;
  /** Its last use as the backend knows it, whoever used it. Epoch milliseconds. */
  readonly lastActivityAt?: number;
  /** What somebody changed about it by hand that is no limit, e.g. the network it was cut from; an update puts it right. */
  readonly astray?: readonly FieldChange[];
  /**
   * An operator brings it up and stops it when it is idle, and other processes like this one may use it: here it is only
   * declared.
   */
  readonly operated?: true;
}

/** A home under the schedule that it was declared with. */
export interface Clean extends Pick<Reset, 'schedule' | 'timezone'> {
  /** It was made or emptied then, or this schedule came into force. Epoch milliseconds. */
  readonly since: number;
}

/** One field that differs, in words; null: not there. Values of variables never appear. */
export interface FieldChange {
  readonly field: string;
  readonly from: string | null;
  readonly to: string | null;
}

/** What can be changed in place beyond the limits, in words: one entry a field of the policy. */
export type Settings = Readonly<Record<string, string>>;

/** A workload with its secret-prone values hashed: fit to be stored in a label and shown in a plan. */
export type WorkloadFingerprint = Readonly<Record<string, string>>;

export interface RunningTerminal extends Observed {
  readonly phase: 'Running';
  readonly address: Address;
  /** The terminal's own key. Never logged. */
  readonly apiKey: string;
  /** Epoch milliseconds. */
  readonly startedAt: number;
}

/** There is a container that isn't known to answer yet: it starts, or was found starting. */
export interface ProvisioningTerminal extends Observed {
  readonly phase: 'Provisioning';
  readonly detail: string;
  /** It has been ready in its Pod, and is not at the moment: until then (epoch milliseconds) it need only be waited for. */
  readonly awaitedUntil?: number;
}

/** Stopped; its home is kept and it can be started again. */
export interface IdleTerminal extends Observed {
  readonly phase: 'Idle';
}

/** It can't serve: crashed, paused, or its container is broken. `recover` says how the next request helps. */
export interface ErrorTerminal extends Observed {
  readonly phase: 'Error';
  readonly detail: string;
  readonly recover: 'replace' | 'by-hand';
}

/** What the backend observes of one terminal. A terminal that isn't there is `undefined`. */
export type Actual = RunningTerminal | ProvisioningTerminal | IdleTerminal | ErrorTerminal;

export type Phase = 'Pending' | Actual['phase'];

/** Use of a terminal as the proxy sees it. */
export interface Activity {
  /** Epoch milliseconds of the last proxied byte, either direction. */
  readonly lastActivityAt: number;
  /** HTTP requests under way right now; a terminal with one is never idle. */
  readonly inFlight: number;
}
