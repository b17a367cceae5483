/** Terminal → Service, Secret, PersistentVolumeClaim and NetworkPolicy. Pure. @module */
import type { NetworkPolicy, ObjectMeta, Secret, Service, VolumeClaim } from '../kubernetes/objects.ts';
import { parseMemory } from '../terminal/quantity.ts';
import {
  apiKeyField,
  childLabels,
  childNames,
  selectorLabels,
  shortHash,
  terminalPort,
} from './child-names.ts';
import type { OperatorDefaults } from './defaults.ts';
import { ownerReference, type TerminalResource } from './terminal-resource.ts';

function metadata(terminal: TerminalResource, name: string): ObjectMeta {
  const { namespace } = terminal.metadata;
  return {
    name,
    ...(namespace === undefined ? {} : { namespace }),
    labels: childLabels(terminal),
    ownerReferences: [ownerReference(terminal)],
  };
}

/** In front of the Pod, where the Pod network can't be reached. */
export function serviceOf(terminal: TerminalResource): Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: metadata(terminal, childNames(terminal).service),
    spec: {
      type: 'ClusterIP',
      selector: selectorLabels(terminal),
      ports: [{ name: 'http', port: terminalPort, targetPort: terminalPort, protocol: 'TCP' }],
    },
  };
}

export function serviceUrl(terminal: TerminalResource): string {
  return `http://${childNames(terminal).service}.${terminal.metadata.namespace}.svc:${terminalPort}`;
}

/** Without its data: the key is made once and then belongs to the Secret alone. */
export function secretOf(terminal: TerminalResource): Secret {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'Opaque',
    metadata: metadata(terminal, childNames(terminal).secret),
  };
}

export function withKey(secret: Secret, key: string): Secret {
  return { ...secret, data: { [apiKeyField]: Buffer.from(key).toString('base64') } };
}

/** Stands for the key that a Secret holds; undefined where it holds none. */
export function keyHashOf(secret: Secret | undefined): string | undefined {
  const key = secret?.data?.[apiKeyField];
  return key ? shortHash(key) : undefined;
}

/**
 * The home. Of one that is there, only the size can change, and only upwards: the rest is passed on as it is, since the API
 * server refuses every other change.
 */
export function volumeClaimOf(
  terminal: TerminalResource,
  defaults: OperatorDefaults,
  existing?: VolumeClaim,
): VolumeClaim {
  const { size, storageClass, retain } = terminal.spec.persistence;
  const { ownerReferences, ...rest } = metadata(terminal, childNames(terminal).volumeClaim);
  const className =
    existing === undefined ? (storageClass ?? defaults.storageClass) : existing.spec?.storageClassName;
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { ...rest, ...(retain || ownerReferences === undefined ? {} : { ownerReferences }) },
    spec: {
      accessModes: existing?.spec?.accessModes ?? ['ReadWriteOnce'],
      resources: {
        requests: { storage: largest(String(size), existing?.spec?.resources?.requests?.storage) },
      },
      ...(className === undefined ? {} : { storageClassName: className }),
    },
  };
}

function largest(size: string, present: string | undefined): string {
  return present !== undefined && parseMemory(present) >= parseMemory(size) ? present : size;
}

/** Only the orchestrator comes in; what goes out is as the policy says, as far as addresses can say it. */
export function networkPolicyOf(terminal: TerminalResource, defaults: OperatorDefaults): NetworkPolicy {
  const { labels: matchLabels, namespace } = defaults.orchestrator;
  const from = {
    podSelector: { matchLabels },
    ...(namespace === undefined
      ? {}
      : { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } } }),
  };
  const egress = egressRules(terminal);
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: metadata(terminal, childNames(terminal).networkPolicy),
    spec: {
      podSelector: { matchLabels: selectorLabels(terminal) },
      policyTypes: egress === null ? ['Ingress'] : ['Ingress', 'Egress'],
      ingress: [{ from: [from], ports: [{ port: terminalPort, protocol: 'TCP' }] }],
      ...(egress === null ? {} : { egress }),
    },
  };
}

type EgressRule = NonNullable<NonNullable<NetworkPolicy['spec']>['egress']>[number];

/** null: no restriction. A NetworkPolicy knows no domains: those the image filters; here the node's own services go. */
function egressRules({ spec }: TerminalResource): readonly EgressRule[] | null {
  if (spec.egress === undefined) return null;
  if (spec.egress.allowedDomains.length === 0) return [];
  return [
    { ports: ['UDP', 'TCP'].map((protocol) => ({ port: 53, protocol })) },
    { to: [{ ipBlock: { cidr: '0.0.0.0/0', except: ['169.254.0.0/16'] } }, { ipBlock: { cidr: '::/0' } }] },
  ];
}
