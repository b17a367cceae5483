/**
 * A Terminal with its Pod and its Secret, as the caches have them → actual state. Pure.
 * @module
 */
import type { Pod, Secret } from '../../kubernetes/objects.ts';
import {
  apiKeyField,
  containerName,
  keyHashAnnotation,
  revisionAnnotation,
  terminalPort,
} from '../../operator/child-names.ts';
import { keyHashOf } from '../../operator/children.ts';
import { startLimitSeconds } from '../../operator/pod.ts';
import { resetRequest } from '../../operator/reset-request.ts';
import { resetFailed, stopAnnotation, type TerminalResource } from '../../operator/terminal-resource.ts';
import { resetSetting } from '../../terminal/desired.ts';
import { terminalName } from '../../terminal/names.ts';
import { cpuQuantity, memoryQuantity, parseCpu, parseMemory } from '../../terminal/quantity.ts';
import type {
  Actual,
  Address,
  ContextId,
  PolicyId,
  Revision,
  Settings,
  TerminalKey,
  TerminalName,
  UserId,
  WorkloadFingerprint,
} from '../../terminal/terminal.ts';
import { fingerprintAnnotation } from './declare.ts';
import { cleanOf } from './reset-schedule.ts';

export interface Parts {
  readonly terminal: TerminalResource;
  readonly pod: Pod | undefined;
  readonly secret: Secret | undefined;
}

/** Beyond a start time limit: for a node to be found and an image to be pulled. */
export const beforeStartMs = 25_000;

/** By what a terminal is reached: its Pod's address, or its Service's name where Pods can't be reached. */
export type AddressKind = 'pod' | 'service';

/** Reasons of phase Error that end by themselves within a moment: the kubelet starts the container again at once. */
const restarting = new Set(['ContainerEnded', 'OOMKilled']);
/** The kubelet has not heard of a new Secret yet, and tries again. */
const notHeardYet = /failed to sync (secret|configmap) cache/;

/** Whose terminal a resource is. */
export function keyOf({ spec }: TerminalResource): TerminalKey {
  return {
    user: spec.userId as UserId,
    policy: spec.policyId as PolicyId,
    context: spec.contextId === undefined ? null : (spec.contextId as ContextId),
  };
}

/** Its last use as the resource knows it; without any, its creation. Epoch milliseconds. */
export function lastActivityOf({ status, metadata }: TerminalResource): number {
  const at = Date.parse(status?.lastActivityAt ?? metadata.creationTimestamp ?? '');
  return Number.isNaN(at) ? 0 : at;
}

/** The actual state of a Terminal; null for one whose name is not the one of its user and policy. */
export function observe(parts: Parts, addressKind: AddressKind): Actual | null {
  const { terminal } = parts;
  const { metadata, spec, status } = terminal;
  const key = keyOf(terminal);
  const clean = cleanOf(terminal);
  if (metadata.name !== terminalName(key)) return null;
  const observed = {
    key,
    name: metadata.name as TerminalName,
    revision: (metadata.annotations?.[revisionAnnotation] ?? '') as Revision,
    fingerprint: parseFingerprint(metadata.annotations?.[fingerprintAnnotation]),
    limits: {
      cpuMillis: amountOf(parseCpu, spec.resources.limits.cpu) ?? 0,
      memoryBytes: amountOf(parseMemory, spec.resources.limits.memory) ?? 0,
    },
    idleTimeoutMs: spec.idleTimeoutMinutes * 60_000,
    settings: settingsOf(terminal),
    ...(clean === null ? {} : { clean }),
    lastActivityAt: lastActivityOf(terminal),
    operated: true,
  } as const;
  const provisioning = (detail: string) => ({ ...observed, phase: 'Provisioning', detail }) as const;
  if (metadata.deletionTimestamp) return provisioning('it is being deleted');
  if (resetRequest(terminal) !== null && reasonOf(terminal) !== resetFailed)
    return provisioning('its home is being emptied');
  if (status?.phase === 'Idle')
    return isWoken(terminal) ? provisioning('it is being started again') : { ...observed, phase: 'Idle' };

  const run = runOf(parts, addressKind);
  if (run !== null) return { ...observed, phase: 'Running', ...run };
  const awaitedUntil = awaitedUntilOf(parts);
  const starting = (detail: string) => ({
    ...provisioning(detail),
    ...(awaitedUntil === null ? {} : { awaitedUntil }),
  });
  if (status === undefined || (status.observedGeneration ?? 0) < (metadata.generation ?? 0))
    return starting('it waits for the operator');
  if (status.phase === 'Error' && !passes(terminal))
    return { ...observed, phase: 'Error', detail: status.message || reasonOf(terminal), recover: 'replace' };
  return starting(status.phase === 'Running' ? 'its Pod is not ready' : detailOf(terminal));
}

/** The reason that the operator gives for the phase, in one word. */
export function reasonOf({ status }: TerminalResource): string {
  const conditions = status?.conditions ?? [];
  const stalled = conditions.find(({ type, status: value }) => type === 'Stalled' && value === 'True');
  return (stalled ?? conditions.find(({ type }) => type === 'Ready'))?.reason ?? '';
}

/** Whether an error goes away without anybody's doing. */
function passes(terminal: TerminalResource): boolean {
  return restarting.has(reasonOf(terminal)) || notHeardYet.test(terminal.status?.message ?? '');
}

function detailOf(terminal: TerminalResource): string {
  return terminal.status?.message || reasonOf(terminal) || 'it starts';
}

/** Used after it was stopped: the operator is about to see that. */
function isWoken(terminal: TerminalResource): boolean {
  const { metadata, status } = terminal;
  const stop = Date.parse(metadata.annotations?.[stopAnnotation] ?? '');
  const usedAt = lastActivityOf(terminal);
  return usedAt > Date.parse(status?.idleSince ?? '') && !(stop >= usedAt);
}

/**
 * Where it runs; null where nobody may be sent: the Pod is not ready, on its way out, from the workload before, or started
 * with another key than its Secret holds.
 */
function runOf(
  parts: Parts,
  addressKind: AddressKind,
): { readonly address: Address; readonly apiKey: string; readonly startedAt: number } | null {
  const { terminal, secret } = parts;
  const pod = ownPod(parts);
  if (pod === undefined || secret === undefined || !isReady(pod)) return null;
  const key = secret.data?.[apiKeyField];
  if (!key || pod.metadata.annotations?.[keyHashAnnotation] !== keyHashOf(secret)) return null;
  const host = addressKind === 'pod' ? pod.status?.podIP : serviceHost(terminal);
  if (!host) return null;
  return {
    address: { host, port: terminalPort },
    apiKey: Buffer.from(key, 'base64').toString(),
    startedAt: startOf(pod),
  };
}

/** Its Pod, where that is neither on its way out nor from the workload before. */
function ownPod({ terminal, pod }: Parts): Pod | undefined {
  if (pod === undefined || pod.metadata.deletionTimestamp) return undefined;
  const owner = pod.metadata.ownerReferences?.find(({ controller }) => controller === true);
  if (owner?.uid !== terminal.metadata.uid) return undefined;
  const made = pod.metadata.annotations?.[revisionAnnotation];
  const declared = terminal.metadata.annotations?.[revisionAnnotation];
  return made === declared || terminal.spec.suspend ? pod : undefined;
}

/**
 * How long it is waited for where its Pod was ready and is not: somebody may work in it, and be why it does not answer its
 * probe. null: it is still to come up. One that was never ready is not ready since before its container ran.
 */
function awaitedUntilOf(parts: Parts): number | null {
  const { conditions = [], containerStatuses = [] } = ownPod(parts)?.status ?? {};
  const own = containerStatuses.find(({ name }) => name === containerName);
  const unready = conditions.find(({ type, status }) => type === 'Ready' && status !== 'True');
  const since = Date.parse(unready?.lastTransitionTime ?? '');
  const wasReady = own?.started === true && since > Date.parse(own.state?.running?.startedAt ?? '');
  return wasReady ? since + startLimitSeconds(parts.terminal.spec) * 1000 + beforeStartMs : null;
}

function serviceHost({ metadata, status }: TerminalResource): string {
  return `${status?.serviceName ?? metadata.name}.${metadata.namespace}.svc`;
}

function isReady({ status }: Pod): boolean {
  return status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') === true;
}

/** Of the container: a restart within its Pod ends connections too. */
function startOf({ status, metadata }: Pod): number {
  const running = status?.containerStatuses?.find(({ state }) => state?.running)?.state?.running;
  return Date.parse(running?.startedAt ?? status?.startTime ?? metadata.creationTimestamp ?? '') || 0;
}

function settingsOf(terminal: TerminalResource): Settings {
  const { spec } = terminal;
  const { requests } = spec.resources;
  const { size, storageClass } = spec.persistence;
  return {
    idleTimeoutMinutes: String(spec.idleTimeoutMinutes),
    suspend: String(spec.suspend),
    reset: resetSetting(cleanOf(terminal)),
    'resources.requests.cpu': cpuText(requests.cpu),
    'resources.requests.memory': memoryText(requests.memory),
    'persistence.size': memoryText(size),
    ...(storageClass === undefined ? {} : { 'persistence.storageClass': storageClass }),
  };
}

/** null: no policy could have it, e.g. 0 or 1E. Somebody wrote it by hand, and as a difference like others it is put right. */
function amountOf(parse: (quantity: string | number) => number, quantity: string | number): number | null {
  try {
    return parse(quantity);
  } catch {
    return null;
  }
}

function cpuText(quantity: string | number): string {
  const millis = amountOf(parseCpu, quantity);
  return millis === null ? String(quantity) : cpuQuantity(millis);
}

function memoryText(quantity: string | number): string {
  const bytes = amountOf(parseMemory, quantity);
  return bytes === null ? String(quantity) : memoryQuantity(bytes);
}

function parseFingerprint(text: string | undefined): WorkloadFingerprint | null {
  if (text === undefined) return null;
  try {
    const parsed: unknown = JSON.parse(text);
    return typeof parsed === 'object' && parsed !== null ? (parsed as WorkloadFingerprint) : null;
  } catch {
    return null;
  }
}
