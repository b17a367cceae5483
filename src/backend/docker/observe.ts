/**
 * What the engine says of a container → actual state. Pure.
 * @module
 */
import type { ContainerInspectInfo } from 'dockerode';
import { LRUCache } from 'lru-cache';
import { terminalName } from '../../terminal/names.ts';
import type {
  Actual,
  Address,
  ContextId,
  Limits,
  PolicyId,
  Revision,
  TerminalKey,
  TerminalName,
  UserId,
  WorkloadFingerprint,
} from '../../terminal/terminal.ts';
import { labels, managedBy, portName, terminalPort } from './container.ts';
import { defaultBridge } from './network.ts';

export type LabelMap = Readonly<Record<string, string | undefined>>;

/** Whose terminal a container is, by its labels alone; null: they do not say, or it is not ours. */
export function labelledKey(containerLabels: LabelMap): TerminalKey | null {
  const user = containerLabels[labels.user];
  const policy = containerLabels[labels.policy];
  if (containerLabels[labels.managedBy] !== managedBy || user === undefined || policy === undefined)
    return null;
  const context = containerLabels[labels.context];
  return {
    user: user as UserId,
    policy: policy as PolicyId,
    context: context ? (context as ContextId) : null,
  };
}

/** The policy of a container that was made for nobody, whosever it is by now; null: it was made for somebody, or is not ours. */
export function warmPolicyOf(containerLabels: LabelMap): PolicyId | null {
  const policy = containerLabels[labels.policy];
  if (containerLabels[labels.managedBy] !== managedBy || policy === undefined) return null;
  return containerLabels[labels.warm] === undefined ? null : (policy as PolicyId);
}

/** Whether we made it. */
export function isOurs(containerLabels: LabelMap): boolean {
  return labelledKey(containerLabels) !== null || warmPolicyOf(containerLabels) !== null;
}

/** Where a container can be reached: by its own addresses, and by its published port. */
export interface Addresses {
  readonly direct: Address | null;
  readonly named: Address | null;
  readonly published: Address | null;
}

export function addressesOf(info: ContainerInspectInfo, publishHost: string): Addresses {
  const networks = Object.entries(info.NetworkSettings.Networks ?? {});
  const [network, settings] = networks.find(([, { IPAddress }]) => IPAddress !== '') ?? [];
  const port = info.NetworkSettings.Ports?.[portName]?.[0]?.HostPort;
  // The default bridge has no names.
  const hasNames = network !== undefined && network !== defaultBridge;
  return {
    direct: settings ? { host: settings.IPAddress, port: terminalPort } : null,
    named: hasNames ? { host: nameOf(info), port: terminalPort } : null,
    published: port ? { host: publishHost, port: Number(port) } : null,
  };
}

export function nameOf(info: ContainerInspectInfo): TerminalName {
  return info.Name.replace(/^\//, '') as TerminalName;
}

export interface Viewpoint {
  /** Whose terminal a container of these labels and this name is; null: nobody knows, or it is not ours. */
  keyOf(containerLabels: LabelMap, name: string): TerminalKey | null;
  /** The address to use of those a container has; null where none is. */
  address(addresses: Addresses): Address | null;
  readonly publishHost: string;
  /** The network that a container was cut from and would be made in today; null: there is none such. */
  cutFrom(info: ContainerInspectInfo): string | null;
  /** Whether the engine holds a limit; of one that it discards it says 0. */
  holds(limit: keyof Limits): boolean;
  /** Whether this container answered since it started; false: it ran out of its time to, null: it is not known. */
  answered(id: string, startedAt: number): boolean | null;
  readonly now: number;
}

/** The actual state of one of our containers; null for a foreign one, and for one that was renamed by hand. */
export function observe(info: ContainerInspectInfo, viewpoint: Viewpoint): Actual | null {
  const containerLabels: LabelMap = info.Config.Labels ?? {};
  const key = viewpoint.keyOf(containerLabels, nameOf(info));
  if (key === null || nameOf(info) !== terminalName(key)) return null;
  const cut = viewpoint.cutFrom(info);
  const observed = {
    key,
    name: nameOf(info),
    revision: (containerLabels[labels.revision] ?? '') as Revision,
    fingerprint: parseFingerprint(containerLabels[labels.fingerprint]),
    limits: limitsOf(info, viewpoint),
    idleTimeoutMs: Number(containerLabels[labels.idleTimeout]) || 0,
    ...(cut === null ? {} : { astray: [{ field: 'network', from: null, to: cut }] }),
  };
  const { State: state } = info;
  if (state.Paused) {
    const detail = `paused from outside; "docker unpause ${observed.name}" lets it go on`;
    return { ...observed, phase: 'Error', detail, recover: 'by-hand' };
  }
  if (state.Restarting || state.Status === 'removing') {
    return { ...observed, phase: 'Error', detail: `the container is ${state.Status}`, recover: 'replace' };
  }
  if (!state.Running) return { ...observed, phase: 'Idle' };

  const startedAt = Date.parse(state.StartedAt);
  const address = viewpoint.address(addressesOf(info, viewpoint.publishHost));
  const apiKey = apiKeyOf(info);
  if (address === null || apiKey === null) {
    const address = cut === null ? 'the container has no address' : `it was cut from the network "${cut}"`;
    const detail = apiKey === null ? 'the container has no key' : address;
    return { ...observed, phase: 'Error', detail, recover: 'replace' };
  }
  const answered = viewpoint.answered(info.Id, startedAt);
  if (answered === false) {
    const detail = 'it did not answer within the time that its start may take';
    return { ...observed, phase: 'Error', detail, recover: 'replace' };
  }
  const young = viewpoint.now - startedAt < (Number(containerLabels[labels.startTimeout]) || 15_000);
  if (young && answered === null) {
    return { ...observed, phase: 'Provisioning', detail: 'it has just started' };
  }
  return { ...observed, phase: 'Running', address, apiKey, startedAt };
}

/** The network that a container was made in and is in no more; null: there is none such. */
export function networkCutFrom({ HostConfig, NetworkSettings }: ContainerInspectInfo): string | null {
  const { NetworkMode: mode = '' } = HostConfig;
  const made = mode === 'default' ? defaultBridge : mode;
  if (made === '' || made === 'host' || made === 'none' || made.startsWith('container:')) return null;
  const present = Object.entries(NetworkSettings.Networks ?? {});
  // It may have been named by its id.
  return present.some(([name, { NetworkID }]) => name === made || NetworkID?.startsWith(made)) ? null : made;
}

function apiKeyOf(info: ContainerInspectInfo): string | null {
  const prefix = 'OPEN_TERMINAL_API_KEY=';
  return info.Config.Env?.find((variable) => variable.startsWith(prefix))?.slice(prefix.length) ?? null;
}

function limitsOf({ HostConfig: host }: ContainerInspectInfo, { holds }: Viewpoint): Partial<Limits> {
  const cpuMillis = host.CpuPeriod ? Math.round(((host.CpuQuota ?? 0) * 1_000) / host.CpuPeriod) : 0;
  return {
    ...(holds('cpuMillis') ? { cpuMillis } : {}),
    ...(holds('memoryBytes') ? { memoryBytes: host.Memory ?? 0 } : {}),
    ...(holds('pids') ? { pids: host.PidsLimit ?? 0 } : {}),
  };
}

/** All containers of a policy have the same one, of which one copy is enough. */
const fingerprints = new LRUCache<string, WorkloadFingerprint>({ max: 200 });

function parseFingerprint(text: string | undefined): WorkloadFingerprint | null {
  if (text === undefined) return null;
  const known = fingerprints.get(text);
  if (known !== undefined) return known;
  const fingerprint = parsedFingerprint(text);
  if (fingerprint !== null) fingerprints.set(text, fingerprint);
  return fingerprint;
}

function parsedFingerprint(text: string): WorkloadFingerprint | null {
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? (parsed as WorkloadFingerprint) : null;
  } catch {
    return null;
  }
}
