/**
 * Desired state → Terminal resource. Pure.
 * @module
 */

import { isMap } from '../../json.ts';
import { labels as childLabels, revisionAnnotation, shortHash } from '../../operator/child-names.ts';
import { covers } from '../../operator/covers.ts';
import type { PodDefaults } from '../../operator/defaults.ts';
import { type TerminalResource, terminals } from '../../operator/terminal-resource.ts';
import { fingerprintOf } from '../../terminal/desired.ts';
import { cpuQuantity, memoryQuantity } from '../../terminal/quantity.ts';
import type { Desired, PodTemplate, Revision } from '../../terminal/terminal.ts';
import { labelOf, orchestratorLabel } from './orchestrator-label.ts';
import { scheduleAnnotations } from './reset-schedule.ts';

export type JsonMap = Readonly<Record<string, unknown>>;

/** What the configuration adds to the Pod of every terminal. */
export interface PodSettings extends PodDefaults {
  /** Keep to Pod Security "restricted". */
  readonly restricted: boolean;
}

/** What the workload was, in the words of a plan. */
export const fingerprintAnnotation = 'openwebui.com/workload';
/** The field manager of all that the orchestrator writes. */
export const manager = 'terminals-orchestrator';

/** Shorter than the operator's own limit, a start takes that; a policy's longer one goes along. */
const operatorsStartMs = 60_000;

/** What is applied: a Terminal without what the API server adds to it. */
export interface Declared {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly spec: JsonMap;
}

/** Where terminals are declared, and by which orchestrator: its name is the same for all its replicas. */
export interface Declarer {
  readonly namespace: string;
  readonly orchestrator: string;
}

/** The Terminal of a desired state, whole. @param existing what it is now; what it knows of its resets stays */
export function declare(
  desired: Desired,
  settings: PodSettings,
  { namespace, orchestrator }: Declarer,
  existing?: TerminalResource,
): Declared {
  const { key, name, workload, revision } = desired;
  return {
    apiVersion: terminals.apiVersion,
    kind: terminals.kind,
    metadata: {
      name,
      namespace,
      labels: {
        [childLabels.partOf]: 'open-terminal',
        [childLabels.managedBy]: 'terminals',
        [childLabels.user]: shortHash(key.user),
        [childLabels.policy]: key.policy,
        [orchestratorLabel]: labelOf(orchestrator),
      },
      annotations: {
        [revisionAnnotation]: revision,
        [fingerprintAnnotation]: JSON.stringify(fingerprintOf(workload)),
        ...scheduleAnnotations(desired, existing, Date.now()),
      },
    },
    spec: {
      userId: key.user,
      policyId: key.policy,
      ...(key.context === null ? {} : { contextId: key.context }),
      ...workloadSpec(desired, settings),
      ...settingsSpec(desired),
      persistence: { enabled: workload.persistent, ...homeSpec(desired) },
    },
  };
}

/** What a workload may leave out: one that has it keeps it until another takes its place. */
const optional = ['egress', 'podSecurityContext', 'containerSecurityContext'];

/**
 * The Terminal as it is, with only what changes in place as desired: its Pod stays. A suspended policy changes nothing but
 * that it is suspended.
 */
export function declareInPlace(existing: TerminalResource, whole: Declared, suspended: boolean): Declared {
  const { metadata, spec } = existing;
  const kept = pick(spec, [...Object.keys(whole.spec), ...optional]);
  const persistence = pick(spec.persistence, ['enabled', 'size', 'storageClass']);
  const changed = suspended
    ? { persistence, suspend: true }
    : {
        ...pick(whole.spec, ['resources', 'idleTimeoutMinutes', 'startTimeoutSeconds', 'suspend']),
        persistence: { ...persistence, ...without(whole.spec.persistence, 'enabled') },
      };
  const made = pick(metadata.annotations ?? {}, [revisionAnnotation, fingerprintAnnotation]);
  const annotations = { ...whole.metadata.annotations, ...made };
  return { ...whole, metadata: { ...whole.metadata, annotations }, spec: { ...kept, ...changed } };
}

/** Whether a Terminal is declared so already, and nothing need be written. The revision stands for what is left out. */
export function isDeclared({ metadata, spec }: TerminalResource, declared: Declared): boolean {
  return (
    covers(metadata.annotations, declared.metadata.annotations) &&
    covers(metadata.labels, declared.metadata.labels) &&
    covers(spec, declared.spec)
  );
}

/** What takes another Pod to change. */
function workloadSpec({ workload, revision }: Desired, settings: PodSettings): JsonMap {
  const { image, packages, pipPackages, env, secretEnv, allowedDomains } = workload;
  const { podSecurityContext, containerSecurityContext } = settings;
  return {
    ...{ image, packages, pipPackages, env, secretEnv },
    ...(allowedDomains === null ? {} : { egress: { allowedDomains } }),
    restricted: settings.restricted,
    podTemplate: podTemplateOf(workload.podTemplate ?? {}, settings, revision),
    ...(isEmpty(podSecurityContext) ? {} : { podSecurityContext }),
    ...(isEmpty(containerSecurityContext) ? {} : { containerSecurityContext }),
  };
}

/** What the configuration says of all Pods, under what the policy says of its own. */
function podTemplateOf(
  { metadata, spec = {} }: PodTemplate,
  settings: PodSettings,
  revision: Revision,
): JsonMap {
  const { labels, nodeSelector, tolerations } = settings;
  const allLabels = { ...labels, ...metadata?.labels };
  return {
    metadata: {
      ...(isEmpty(allLabels) ? {} : { labels: allLabels }),
      // Tells a Pod of this workload from one of the workload before it.
      annotations: { ...metadata?.annotations, [revisionAnnotation]: revision },
    },
    // Not merged any deeper: a null of the policy's is for the operator, which takes that field away.
    spec: {
      ...(isEmpty(nodeSelector) ? {} : { nodeSelector }),
      ...(tolerations.length === 0 ? {} : { tolerations }),
      ...spec,
      ...(isMap(spec.nodeSelector) ? { nodeSelector: { ...nodeSelector, ...spec.nodeSelector } } : {}),
    },
  };
}

function settingsSpec({ limits, reservation, idleTimeoutMs, startTimeoutMs, suspended }: Desired): JsonMap {
  const requests = reservation && {
    cpu: cpuQuantity(reservation.cpuMillis),
    memory: memoryQuantity(reservation.memoryBytes),
  };
  return {
    resources: {
      ...(requests === null ? {} : { requests }),
      limits: { cpu: cpuQuantity(limits.cpuMillis), memory: memoryQuantity(limits.memoryBytes) },
    },
    idleTimeoutMinutes: idleTimeoutMs / 60_000,
    ...(startTimeoutMs > operatorsStartMs ? { startTimeoutSeconds: Math.ceil(startTimeoutMs / 1000) } : {}),
    suspend: suspended,
  };
}

function homeSpec({ reservation }: Desired): JsonMap {
  if (reservation === null) return {};
  const { homeBytes, storageClass } = reservation;
  return { size: memoryQuantity(homeBytes), ...(storageClass === null ? {} : { storageClass }) };
}

function pick<T extends object>(from: T, names: readonly string[]): Record<string, T[keyof T]> {
  return Object.fromEntries(Object.entries(from).filter(([name]) => names.includes(name)));
}

function without(from: unknown, name: string): JsonMap {
  return Object.fromEntries(Object.entries(Object(from)).filter(([field]) => field !== name));
}

function isEmpty(map: object): boolean {
  return Object.keys(map).length === 0;
}

/** What of the configuration belongs into a workload's revision, each under the name of its variable. */
export function platformOf(settings: PodSettings): Readonly<Record<string, string>> {
  const entries: readonly (readonly [string, object])[] = [
    ['LABELS', settings.labels],
    ['NODE_SELECTOR', settings.nodeSelector],
    ['TOLERATIONS', settings.tolerations],
    ['POD_SECURITY_CONTEXT', settings.podSecurityContext],
    ['CONTAINER_SECURITY_CONTEXT', settings.containerSecurityContext],
  ];
  const platform: Record<string, string> = settings.restricted
    ? { TERMINALS_KUBERNETES_RESTRICTED: 'true' }
    : {};
  for (const [name, value] of entries) {
    if (Object.keys(value).length > 0) platform[`TERMINALS_KUBERNETES_${name}`] = JSON.stringify(value);
  }
  return platform;
}
