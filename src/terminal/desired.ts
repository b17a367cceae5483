/**
 * Policy in, desired state out: what one terminal should be, and the revision that names it.
 * @module
 */
import { createHash } from 'node:crypto';
import { canonical } from './canonical.ts';
import { terminalName } from './names.ts';
import { cpuQuantity, memoryQuantity, parseCpu, parseMemory } from './quantity.ts';
import type {
  Desired,
  Limits,
  Mount,
  PodTemplate,
  Reservation,
  Reset,
  Revision,
  Rollout,
  SecretReference,
  Settings,
  Template,
  TerminalKey,
  Workload,
  WorkloadFingerprint,
} from './terminal.ts';

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

/** The part of a policy that shapes a terminal; a validated policy's spec has this form. */
export interface Declaration {
  readonly image: string;
  readonly resources: {
    readonly requests?: { readonly cpu: string | number; readonly memory: string | number };
    readonly limits: {
      readonly cpu: string | number;
      readonly memory: string | number;
      readonly pids: number;
    };
  };
  readonly packages: readonly string[];
  readonly pipPackages: readonly string[];
  readonly persistence: {
    readonly enabled: boolean;
    readonly size?: string | number;
    readonly storageClass?: string | undefined;
  };
  readonly idleTimeoutMinutes: number;
  readonly contextRetentionDays: number;
  readonly env: Readonly<Record<string, string>>;
  readonly secretEnv?: Readonly<Record<string, SecretReference>>;
  readonly podTemplate?: PodTemplate | undefined;
  readonly egress?: { readonly allowedDomains: readonly string[] } | undefined;
  readonly mounts: readonly Mount[];
  readonly rollout: {
    readonly when: 'idle' | 'nextStart' | 'now';
    readonly idleAfterMinutes: number;
    readonly maxDelayMinutes?: number | undefined;
    readonly maxUnavailable: number | string;
    readonly pauseOnFailures: number;
    readonly window?:
      | { readonly schedule: string; readonly durationMinutes: number; readonly timezone: string }
      | undefined;
  };
  readonly reset?:
    | { readonly schedule: string; readonly timezone: string; readonly keep: readonly string[] }
    | undefined;
  readonly startTimeoutSeconds?: number | undefined;
  readonly suspend: boolean;
  readonly warm?: number | undefined;
}

/** The start time limits where a policy names none: plain, and while packages install. */
const startTimeoutMs = { plain: 15_000, withPackages: 300_000 };

/** What a policy makes of its workload; `platform` is what the backend's configuration adds. */
export function renderWorkload(
  declared: Declaration,
  platform: Readonly<Record<string, string>> = {},
): Workload {
  return {
    image: declared.image,
    env: declared.env,
    secretEnv: declared.secretEnv ?? {},
    packages: declared.packages,
    pipPackages: declared.pipPackages,
    allowedDomains: declared.egress?.allowedDomains ?? null,
    mounts: declared.mounts,
    podTemplate: isEmpty(declared.podTemplate) ? null : declared.podTemplate,
    persistent: declared.persistence.enabled,
    platform,
  };
}

/** The desired state of one terminal under a policy. */
export function desiredOf(key: TerminalKey, template: Template): Desired {
  return { key, name: terminalName(key), ...template };
}

/**
 * What a policy makes of every one of its terminals.
 * @throws RangeError for a quantity that is none (a validated policy has none such).
 */
export function renderTemplate(
  declared: Declaration,
  platform: Readonly<Record<string, string>> = {},
): Template {
  const workload = renderWorkload(declared, platform);
  const installs = workload.packages.length + workload.pipPackages.length > 0;
  return {
    revision: revisionOf(workload),
    workload,
    limits: renderLimits(declared),
    reservation: renderReservation(declared),
    idleTimeoutMs: declared.idleTimeoutMinutes * minuteMs,
    contextRetentionMs: declared.contextRetentionDays * dayMs,
    startTimeoutMs:
      declared.startTimeoutSeconds === undefined
        ? startTimeoutMs[installs ? 'withPackages' : 'plain']
        : declared.startTimeoutSeconds * 1000,
    rollout: renderRollout(declared),
    reset: declared.reset ?? null,
    suspended: declared.suspend,
    warm: declared.warm ?? 0,
  };
}

function renderRollout({ rollout }: Declaration): Rollout {
  const { when, idleAfterMinutes, maxDelayMinutes, maxUnavailable, pauseOnFailures, window } = rollout;
  return {
    when,
    idleAfterMs: idleAfterMinutes * minuteMs,
    maxDelayMs: maxDelayMinutes === undefined ? null : maxDelayMinutes * minuteMs,
    maxUnavailable:
      typeof maxUnavailable === 'number'
        ? { count: maxUnavailable, share: 0 }
        : { count: 0, share: Number.parseInt(maxUnavailable, 10) / 100 },
    pauseOnFailures,
    window: window
      ? {
          schedule: window.schedule,
          durationMs: window.durationMinutes * minuteMs,
          timezone: window.timezone,
        }
      : null,
  };
}

function renderLimits(declared: Declaration): Limits {
  const { cpu, memory, pids } = declared.resources.limits;
  return { cpuMillis: parseCpu(cpu), memoryBytes: parseMemory(memory), pids };
}

function renderReservation({ resources: { requests }, persistence }: Declaration): Reservation | null {
  const { size, storageClass = null } = persistence;
  if (requests === undefined || size === undefined) return null;
  return {
    cpuMillis: parseCpu(requests.cpu),
    memoryBytes: parseMemory(requests.memory),
    homeBytes: parseMemory(size),
    storageClass,
  };
}

/** What a template asks for that changes in place, beyond the limits. A storage class that is not named may be any. */
export function settingsOf({ reservation, idleTimeoutMs, reset, suspended }: Template): Settings {
  const settings: Record<string, string> = {
    idleTimeoutMinutes: String(idleTimeoutMs / minuteMs),
    suspend: String(suspended),
    reset: resetSetting(reset),
  };
  if (reservation !== null) {
    settings['resources.requests.cpu'] = cpuQuantity(reservation.cpuMillis);
    settings['resources.requests.memory'] = memoryQuantity(reservation.memoryBytes);
    settings['persistence.size'] = memoryQuantity(reservation.homeBytes);
    if (reservation.storageClass !== null) settings['persistence.storageClass'] = reservation.storageClass;
  }
  return settings;
}

/** A schedule of resets in words. */
export function resetSetting(reset: Pick<Reset, 'schedule' | 'timezone'> | null): string {
  return reset === null ? 'never' : `${reset.schedule} (${reset.timezone})`;
}

/** The same for equal workloads, whatever the order of their maps' keys: 16 hex digits. */
export function revisionOf(workload: Workload): Revision {
  const sorted = (map: Readonly<Record<string, string>>) =>
    Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1));
  const { secretEnv, podTemplate } = workload;
  const parts = [
    workload.image,
    sorted(workload.env),
    workload.packages,
    workload.pipPackages,
    workload.allowedDomains,
    workload.mounts.map((mount) => [mount.source, mount.target, mount.readOnly]),
    workload.persistent,
    sorted(workload.platform),
    // What a policy does not say has no place, so that a field that is new here replaces nobody's terminal.
    ...(Object.keys(secretEnv).length > 0 ? [canonical({ secretEnv })] : []),
    ...(podTemplate === null ? [] : [canonical({ podTemplate })]),
  ];
  return shortHash(JSON.stringify(parts)) as Revision;
}

/**
 * A workload in words for a label and for the plan: one entry a field. Values of variables and the Pod's template are
 * hashed, since a policy's author may have put something private there.
 */
export function fingerprintOf(workload: Workload): WorkloadFingerprint {
  const known = fingerprints.get(workload);
  if (known !== undefined) return known;
  const fingerprint = describe(workload);
  fingerprints.set(workload, fingerprint);
  return fingerprint;
}

/** All terminals of a policy share its workload, and are compared with it one by one. */
const fingerprints = new WeakMap<Workload, WorkloadFingerprint>();

function describe(workload: Workload): WorkloadFingerprint {
  const fields: Record<string, string> = {
    image: workload.image,
    packages: workload.packages.join(' '),
    pipPackages: workload.pipPackages.join(' '),
    'egress.allowedDomains': workload.allowedDomains === null ? 'any' : workload.allowedDomains.join(' '),
    mounts: workload.mounts
      .map(({ source, target, readOnly }) => `${source}:${target}${readOnly ? ':ro' : ''}`)
      .join(' '),
    'persistence.enabled': String(workload.persistent),
  };
  for (const [name, value] of Object.entries(workload.env)) fields[`env.${name}`] = shortHash(value);
  for (const [name, { name: secret, key }] of Object.entries(workload.secretEnv)) {
    fields[`secretEnv.${name}`] = `${secret}/${key}`;
  }
  if (workload.podTemplate !== null) fields.podTemplate = shortHash(canonical(workload.podTemplate));
  for (const [name, value] of Object.entries(workload.platform)) fields[name] = value;
  return fields;
}

function isEmpty(map: object | undefined): map is undefined {
  return map === undefined || Object.keys(map).length === 0;
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
