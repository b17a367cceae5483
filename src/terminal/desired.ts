/**
 * Policy in, desired state out: what one terminal should be, and the revision that names it.
 * @module
 */
import { createHash } from 'node:crypto';
import { terminalName } from './names.ts';
import { parseCpu, parseMemory } from './quantity.ts';
import type {
  Desired,
  Limits,
  Mount,
  Revision,
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
    readonly limits: {
      readonly cpu: string | number;
      readonly memory: string | number;
      readonly pids: number;
    };
  };
  readonly packages: readonly string[];
  readonly pipPackages: readonly string[];
  readonly persistence: { readonly enabled: boolean };
  readonly idleTimeoutMinutes: number;
  readonly contextRetentionDays: number;
  readonly env: Readonly<Record<string, string>>;
  readonly egress?: { readonly allowedDomains: readonly string[] } | undefined;
  readonly mounts: readonly Mount[];
  readonly rollout: {
    readonly when: 'idle' | 'nextStart' | 'now';
    readonly idleAfterMinutes: number;
    readonly maxDelayMinutes?: number | undefined;
  };
  readonly startTimeoutSeconds?: number | undefined;
  readonly suspend: boolean;
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
    packages: declared.packages,
    pipPackages: declared.pipPackages,
    allowedDomains: declared.egress?.allowedDomains ?? null,
    mounts: declared.mounts,
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
  const { when, idleAfterMinutes, maxDelayMinutes } = declared.rollout;
  const installs = workload.packages.length + workload.pipPackages.length > 0;
  return {
    revision: revisionOf(workload),
    workload,
    limits: renderLimits(declared),
    idleTimeoutMs: declared.idleTimeoutMinutes * minuteMs,
    contextRetentionMs: declared.contextRetentionDays * dayMs,
    startTimeoutMs:
      declared.startTimeoutSeconds === undefined
        ? startTimeoutMs[installs ? 'withPackages' : 'plain']
        : declared.startTimeoutSeconds * 1000,
    rollout: {
      when,
      idleAfterMs: idleAfterMinutes * minuteMs,
      maxDelayMs: maxDelayMinutes === undefined ? null : maxDelayMinutes * minuteMs,
    },
    suspended: declared.suspend,
  };
}

function renderLimits(declared: Declaration): Limits {
  const { cpu, memory, pids } = declared.resources.limits;
  return { cpuMillis: parseCpu(cpu), memoryBytes: parseMemory(memory), pids };
}

/** The same for equal workloads, whatever the order of their maps' keys: 16 hex digits. */
export function revisionOf(workload: Workload): Revision {
  const sorted = (map: Readonly<Record<string, string>>) =>
    Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1));
  const canonical = [
    workload.image,
    sorted(workload.env),
    workload.packages,
    workload.pipPackages,
    workload.allowedDomains,
    workload.mounts.map((mount) => [mount.source, mount.target, mount.readOnly]),
    workload.persistent,
    sorted(workload.platform),
  ];
  return shortHash(JSON.stringify(canonical)) as Revision;
}

/**
 * A workload in words for a label and for the plan: one entry a field. Values of variables are hashed, since a
 * policy's author may have put something private there.
 */
export function fingerprintOf(workload: Workload): WorkloadFingerprint {
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
  for (const [name, value] of Object.entries(workload.platform)) fields[name] = value;
  return fields;
}

function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
