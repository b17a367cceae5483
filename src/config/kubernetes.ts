/** What the configuration says about Kubernetes: of the backend, and of the operator. @module */
import path from 'node:path';
import { isMap } from '../json.ts';
import { parseMemory } from '../terminal/quantity.ts';
import type { Setting } from './reader.ts';
import * as read from './values.ts';
import { invalid } from './values.ts';
import type { VariableName } from './variables.ts';

type JsonMap = Readonly<Record<string, unknown>>;
type Labels = Readonly<Record<string, string>>;

export interface Kubernetes {
  /** null: the own one, or that of the kubeconfig. */
  readonly namespace: string | null;
  /** Absolute; null: wherever one is found. */
  readonly kubeconfig: string | null;
  readonly address: 'pod' | 'service';
  readonly pods: {
    readonly labels: Labels;
    readonly nodeSelector: Labels;
    readonly tolerations: readonly JsonMap[];
    readonly podSecurityContext: JsonMap;
    readonly containerSecurityContext: JsonMap;
    readonly restricted: boolean;
  };
  /** Name of the Lease and of the ConfigMap by which several orchestrators act as one. */
  readonly lease: string;
  /** Of policies that say nothing of it. */
  readonly persistence: { readonly enabled?: boolean; readonly size?: string };
  readonly operator: Operator;
}

export interface Operator {
  readonly port: number;
  readonly allNamespaces: boolean;
  readonly leaderElection: boolean;
  readonly lease: string;
  readonly storageClass: string | null;
  readonly imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  readonly imagePullSecrets: readonly string[];
  /** null: that of the terminals. */
  readonly orchestratorNamespace: string | null;
}

type Read = <T>(name: VariableName, parse: (text: string) => T) => Setting<T>;

const objectName = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const namespaceName = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
const labelName = /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?$/;
const labelValue = /^([A-Za-z0-9]([-\w.]{0,61}[A-Za-z0-9])?)?$/;

/** Reads all of it. */
export function readKubernetes(setting: Read, cwd: string): Kubernetes {
  const value = <T>(name: VariableName, parse: (text: string) => T): T => setting(name, parse).value;
  const persistence = setting('TERMINALS_KUBERNETES_PERSISTENCE', read.parseBoolean);
  const size = setting('TERMINALS_KUBERNETES_STORAGE_SIZE', parseSize);
  return {
    namespace: value('TERMINALS_KUBERNETES_NAMESPACE', parseNamespace),
    kubeconfig: value('TERMINALS_KUBERNETES_KUBECONFIG', (text) =>
      text === '' ? null : path.resolve(cwd, text),
    ),
    address: value('TERMINALS_KUBERNETES_ADDRESS', (text) => read.oneOf(['pod', 'service'] as const, text)),
    pods: {
      labels: value('TERMINALS_KUBERNETES_LABELS', parseLabels),
      nodeSelector: value('TERMINALS_KUBERNETES_NODE_SELECTOR', parseLabels),
      tolerations: value('TERMINALS_KUBERNETES_TOLERATIONS', parseTolerations),
      podSecurityContext: value('TERMINALS_KUBERNETES_POD_SECURITY_CONTEXT', parseContext),
      containerSecurityContext: value('TERMINALS_KUBERNETES_CONTAINER_SECURITY_CONTEXT', parseContext),
      restricted: value('TERMINALS_KUBERNETES_RESTRICTED', read.parseBoolean),
    },
    lease: value('TERMINALS_KUBERNETES_LEASE', parseName),
    persistence: {
      ...(persistence.isSet ? { enabled: persistence.value } : {}),
      ...(size.value === null ? {} : { size: size.value }),
    },
    operator: readOperator(value),
  };
}

function readOperator(value: <T>(name: VariableName, parse: (text: string) => T) => T): Operator {
  return {
    port: value('TERMINALS_OPERATOR_PORT', read.parsePort),
    allNamespaces: value('TERMINALS_OPERATOR_ALL_NAMESPACES', read.parseBoolean),
    leaderElection: value('TERMINALS_OPERATOR_LEADER_ELECTION', read.parseBoolean),
    lease: value('TERMINALS_OPERATOR_LEASE', parseName),
    storageClass: value('TERMINALS_KUBERNETES_STORAGE_CLASS', parseOptionalName),
    imagePullPolicy: value('TERMINALS_KUBERNETES_IMAGE_PULL_POLICY', (text) =>
      read.oneOf(['Always', 'IfNotPresent', 'Never'] as const, text),
    ),
    imagePullSecrets: value('TERMINALS_KUBERNETES_IMAGE_PULL_SECRETS', (text) =>
      read.list(text).map(parseName),
    ),
    orchestratorNamespace: value('TERMINALS_KUBERNETES_ORCHESTRATOR_NAMESPACE', parseNamespace),
  };
}

/** A ConfigMap's name or a selector; null: none. */
export function parsePoliciesConfigMap(text: string): string | null {
  if (text === '') return null;
  if (!text.includes('=')) return parseName(text);
  const terms = text.split(',').map((term) => term.trim());
  const good = terms.every((term) => {
    const [, name = '', value = ''] = /^([^=!]+)(?:==?|!=)([^=]*)$/.exec(term) ?? [];
    return labelName.test(name) && labelValue.test(value);
  });
  if (good) return terms.join(',');
  throw invalid(
    'neither the name of a ConfigMap nor a label selector.',
    'Write e.g. terminals-policies, or terminals.openwebui.com/policies=true.',
  );
}

function parseName(text: string): string {
  if (objectName.test(text)) return text;
  throw invalid('not a name of a Kubernetes object.', 'Use lower case letters, digits, - and .');
}

function parseOptionalName(text: string): string | null {
  return text === '' ? null : parseName(text);
}

function parseNamespace(text: string): string | null {
  if (text === '') return null;
  if (namespaceName.test(text)) return text;
  throw invalid('not a name of a namespace.', 'Use at most 63 lower case letters, digits and -.');
}

function parseSize(text: string): string | null {
  const hint = 'Write bytes such as 512Mi or 4Gi.';
  return read.parseQuantity(parseMemory, text, 'a size above 0', hint) === null ? null : text;
}

const labelsHint = 'Write e.g. team=data,tier=gold or {"team": "data"}.';

function parseLabels(text: string): Labels {
  if (text === '') return {};
  const entries = text.startsWith('{') ? Object.entries(parseMap(text, labelsHint)) : parsePairs(text);
  for (const [name, value] of entries) {
    if (!labelName.test(name) || typeof value !== 'string' || !labelValue.test(value))
      throw invalid('not names and values of labels.', labelsHint);
  }
  return Object.fromEntries(entries.map(([name, value]) => [name, String(value)]));
}

function parsePairs(text: string): readonly (readonly [string, string])[] {
  return read.list(text).map((pair) => {
    const at = pair.indexOf('=');
    if (at <= 0) throw invalid('not names and values of labels.', labelsHint);
    return [pair.slice(0, at).trim(), pair.slice(at + 1).trim()] as const;
  });
}

function parseTolerations(text: string): readonly JsonMap[] {
  const hint = 'Write e.g. [{"key": "team", "operator": "Equal", "value": "data", "effect": "NoSchedule"}].';
  if (text === '') return [];
  const list = parseJson(text, hint);
  if (!Array.isArray(list)) throw invalid('not a JSON list.', hint);
  const tolerations = list.filter(isMap);
  if (tolerations.length < list.length) throw invalid('not a list of objects.', hint);
  return tolerations;
}

function parseContext(text: string): JsonMap {
  return text === '' ? {} : parseMap(text, 'Write e.g. {"runAsUser": 1000}.');
}

function parseMap(text: string, hint: string): JsonMap {
  const map = parseJson(text, hint);
  if (!isMap(map)) throw invalid('not a JSON object.', hint);
  return map;
}

function parseJson(text: string, hint: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid('not JSON.', hint);
  }
}
