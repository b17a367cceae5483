/**
 * Desired state → what the engine is asked to create. Pure.
 * @module
 */
import type { ContainerCreateOptions, HostConfig } from 'dockerode';
import { fingerprintOf } from '../../terminal/desired.ts';
import { isNobody } from '../../terminal/names.ts';
import type { Desired, Limits, Mount } from '../../terminal/terminal.ts';

/** The port of Open Terminal. */
export const terminalPort = 8000;
export const portName = `${terminalPort}/tcp`;
export const homeTarget = '/home/user';
/** The user of the Open Terminal image; a home that belongs to it already need not be changed at the start. */
export const imageUser = { uid: 1000, gid: 1000 };

/** The labels that make a container ours; the truth about it is in them, there is no database. */
export const labels = {
  managedBy: 'managed-by',
  kubernetesManagedBy: 'app.kubernetes.io/managed-by',
  partOf: 'app.kubernetes.io/part-of',
  user: 'openwebui.com/user-id',
  policy: 'openwebui.com/policy',
  context: 'openwebui.com/context',
  revision: 'openwebui.com/revision',
  fingerprint: 'terminals.openwebui.com/fingerprint',
  idleTimeout: 'terminals.openwebui.com/idle-timeout-ms',
  startTimeout: 'terminals.openwebui.com/start-timeout-ms',
  /** In place of a user: it was made for nobody, and whose it is by now is in its name. */
  warm: 'terminals.openwebui.com/warm',
} as const;
export const managedBy = 'terminals';
/** Finds our containers in lists and events. */
export const ours = `${labels.managedBy}=${managedBy}`;

export interface Surroundings {
  /** The home as the engine's host names it; null: the home lives and ends with the container. */
  readonly home: string | null;
  /** The network to attach to; null: the engine's default bridge. */
  readonly network: string | null;
  /** Publish the port on this address; null: it is not published. */
  readonly publishHost: string | null;
  /** Mounts of every container, besides the policy's own. */
  readonly mounts: readonly Mount[];
  readonly apiKey: string;
  /** The policy's `secretEnv` with its values. */
  readonly secrets: Readonly<Record<string, string>>;
  /** An image that has the workload's packages already; null: the policy's own, which installs them. */
  readonly baked: string | null;
}

/** What `POST /containers/create` gets. */
export function containerOptions(
  desired: Desired,
  around: Surroundings,
): ContainerCreateOptions & { name: string } {
  return {
    name: desired.name,
    Image: around.baked ?? desired.workload.image,
    // It can't be changed when the container becomes somebody's.
    Hostname: isNobody(desired.key.user) ? 'terminal' : desired.name.slice(0, 63).replace(/-+$/, ''),
    Env: environment(desired, around),
    Labels: labelsOf(desired),
    ExposedPorts: { [portName]: {} },
    HostConfig: hostConfig(desired, around),
  };
}

function labelsOf({
  key,
  revision,
  workload,
  idleTimeoutMs,
  startTimeoutMs,
}: Desired): Record<string, string> {
  return {
    [labels.managedBy]: managedBy,
    [labels.kubernetesManagedBy]: managedBy,
    [labels.partOf]: 'open-terminal',
    ...(isNobody(key.user) ? { [labels.warm]: 'true' } : { [labels.user]: key.user }),
    [labels.policy]: key.policy,
    ...(key.context === null ? {} : { [labels.context]: key.context }),
    [labels.revision]: revision,
    [labels.fingerprint]: JSON.stringify(fingerprintOf(workload)),
    [labels.idleTimeout]: String(idleTimeoutMs),
    [labels.startTimeout]: String(startTimeoutMs),
  };
}

function environment({ workload }: Desired, { apiKey, secrets, baked }: Surroundings): string[] {
  const { env, packages, pipPackages, allowedDomains } = workload;
  const variables: Record<string, string> = { ...env, ...secrets, OPEN_TERMINAL_API_KEY: apiKey };
  if (baked === null && packages.length > 0) variables.OPEN_TERMINAL_PACKAGES = packages.join(' ');
  if (baked === null && pipPackages.length > 0) {
    variables.OPEN_TERMINAL_PIP_PACKAGES = pipPackages.join(' ');
  }
  // Set but empty blocks everything: it must be unset unless the policy restricts egress.
  if (allowedDomains !== null) variables.OPEN_TERMINAL_ALLOWED_DOMAINS = allowedDomains.join(',');
  return Object.entries(variables).map(([name, value]) => `${name}=${value}`);
}

function hostConfig({ workload, limits }: Desired, around: Surroundings): HostConfig {
  const restricted = workload.allowedDomains !== null;
  const home = around.home === null ? [] : [{ source: around.home, target: homeTarget, readOnly: false }];
  return {
    ...limitsConfig(limits),
    // Bind mounts, so that a source that is not there is an error rather than a new directory of root's.
    Mounts: [...home, ...around.mounts, ...workload.mounts].map(({ source, target, readOnly }) => ({
      Type: 'bind',
      Source: source,
      Target: target,
      ReadOnly: readOnly,
    })),
    // sudo and apt of the image need the rest of the engine's default set, and setuid, so no "no-new-privileges".
    // Raw sockets would let a terminal forge packets of its neighbours; setting up egress rules needs them once.
    CapDrop: restricted ? ['MKNOD'] : ['MKNOD', 'NET_RAW'],
    CapAdd: restricted ? ['NET_ADMIN'] : [],
    RestartPolicy: { Name: 'no' },
    LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '1' } },
    ...(around.network === null ? {} : { NetworkMode: around.network }),
    ...(around.publishHost === null
      ? {}
      : { PortBindings: { [portName]: [{ HostIp: around.publishHost, HostPort: '' }] } }),
  };
}

/** Of the CPU limit, in microseconds; a longer one only where the quota would be less than the kernel takes. */
const cpuPeriodUs = { usual: 100_000, small: 1_000_000, smallBelowMillis: 10 };

/**
 * Limits as both creation and `docker update` take them. Without swap of its own, memory is a hard bound. CPU by period and
 * quota: `NanoCpus` is refused above the cores of the host, where such a limit merely limits nothing.
 */
export function limitsConfig(limits: Limits): {
  CpuPeriod: number;
  CpuQuota: number;
  Memory: number;
  MemorySwap: number;
  PidsLimit: number;
} {
  const { usual, small, smallBelowMillis } = cpuPeriodUs;
  const period = limits.cpuMillis < smallBelowMillis ? small : usual;
  return {
    CpuPeriod: period,
    CpuQuota: (limits.cpuMillis * period) / 1_000,
    Memory: limits.memoryBytes,
    MemorySwap: limits.memoryBytes,
    PidsLimit: limits.pids,
  };
}
