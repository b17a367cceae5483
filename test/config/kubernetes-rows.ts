/** As in variable-rows.ts, for the variables about Kubernetes. */
import path from 'node:path';
import type { KubernetesVariableName } from '../../src/config/kubernetes-variables.ts';
import { root } from './fixtures.ts';
import type { Row } from './variable-rows.ts';

const badNames = ['Upper', 'a b', '-a', 'a_b'];
const badJson = ['[', '[]', '"text"', '1'];

export const kubernetesRows: Readonly<Record<KubernetesVariableName, Row>> = {
  TERMINALS_POLICIES_CONFIGMAP: {
    field: ({ policiesConfigMap }) => policiesConfigMap,
    whenUnset: null,
    good: [
      ['terminals-policies', 'terminals-policies'],
      ['terminals.openwebui.com/policies=true', 'terminals.openwebui.com/policies=true'],
      ['a=b, c!=d', 'a=b,c!=d'],
    ],
    bad: ['Upper', 'a b', 'a=b c', '=b', 'a/b/c=d'],
  },
  TERMINALS_KUBERNETES_NAMESPACE: {
    field: ({ kubernetes }) => kubernetes.namespace,
    whenUnset: null,
    good: [['shells', 'shells']],
    bad: [...badNames, 'a.b', 'a'.repeat(64)],
  },
  TERMINALS_KUBERNETES_KUBECONFIG: {
    field: ({ kubernetes }) => kubernetes.kubeconfig,
    whenUnset: null,
    good: [['config/kube', path.join(root, 'config/kube')]],
    bad: [],
  },
  TERMINALS_KUBERNETES_ADDRESS: {
    field: ({ kubernetes }) => kubernetes.address,
    whenUnset: 'pod',
    good: [['service', 'service']],
    bad: ['Pod', 'node'],
  },
  TERMINALS_KUBERNETES_LABELS: {
    field: ({ kubernetes }) => kubernetes.pods.labels,
    whenUnset: {},
    good: [
      ['team=data, example.org/tier=', { team: 'data', 'example.org/tier': '' }],
      ['{"team": "data"}', { team: 'data' }],
    ],
    bad: ['team', '=data', 'team=a b', '{"team": 1}', '{"team"', 'a/b/c=d'],
  },
  TERMINALS_KUBERNETES_NODE_SELECTOR: {
    field: ({ kubernetes }) => kubernetes.pods.nodeSelector,
    whenUnset: {},
    good: [['disk=ssd', { disk: 'ssd' }]],
    bad: ['disk', '{"disk": null}'],
  },
  TERMINALS_KUBERNETES_TOLERATIONS: {
    field: ({ kubernetes }) => kubernetes.pods.tolerations,
    whenUnset: [],
    good: [['[{"key": "team"}]', [{ key: 'team' }]]],
    bad: ['[', '{}', '["team"]'],
  },
  TERMINALS_KUBERNETES_POD_SECURITY_CONTEXT: {
    field: ({ kubernetes }) => kubernetes.pods.podSecurityContext,
    whenUnset: {},
    good: [['{"runAsUser": 1000}', { runAsUser: 1000 }]],
    bad: badJson,
  },
  TERMINALS_KUBERNETES_CONTAINER_SECURITY_CONTEXT: {
    field: ({ kubernetes }) => kubernetes.pods.containerSecurityContext,
    whenUnset: {},
    good: [['{"readOnlyRootFilesystem": true}', { readOnlyRootFilesystem: true }]],
    bad: badJson,
  },
  TERMINALS_KUBERNETES_RESTRICTED: {
    field: ({ kubernetes }) => kubernetes.pods.restricted,
    whenUnset: false,
    good: [['true', true]],
    bad: ['yes'],
  },
  TERMINALS_KUBERNETES_PERSISTENCE: {
    field: ({ kubernetes }) => kubernetes.persistence,
    whenUnset: {},
    good: [
      ['false', { enabled: false }],
      ['true', { enabled: true }],
    ],
    bad: ['no'],
  },
  TERMINALS_KUBERNETES_STORAGE_SIZE: {
    field: ({ kubernetes }) => kubernetes.persistence,
    whenUnset: {},
    good: [['5Gi', { size: '5Gi' }]],
    bad: ['5 GB', '0', 'much'],
  },
  TERMINALS_KUBERNETES_LEASE: {
    field: ({ kubernetes }) => kubernetes.lease,
    whenUnset: 'terminals-orchestrator',
    good: [['web-terminals-orchestrator', 'web-terminals-orchestrator']],
    bad: badNames,
  },
  TERMINALS_KUBERNETES_STORAGE_CLASS: {
    field: ({ kubernetes }) => kubernetes.operator.storageClass,
    whenUnset: null,
    good: [['fast.ssd', 'fast.ssd']],
    bad: badNames,
  },
  TERMINALS_KUBERNETES_IMAGE_PULL_POLICY: {
    field: ({ kubernetes }) => kubernetes.operator.imagePullPolicy,
    whenUnset: 'IfNotPresent',
    good: [['Always', 'Always']],
    bad: ['always', 'Sometimes'],
  },
  TERMINALS_KUBERNETES_IMAGE_PULL_SECRETS: {
    field: ({ kubernetes }) => kubernetes.operator.imagePullSecrets,
    whenUnset: [],
    good: [['a, b', ['a', 'b']]],
    bad: badNames,
  },
  TERMINALS_KUBERNETES_ORCHESTRATOR_NAMESPACE: {
    field: ({ kubernetes }) => kubernetes.operator.orchestratorNamespace,
    whenUnset: null,
    good: [['ai', 'ai']],
    bad: badNames,
  },
  TERMINALS_OPERATOR_PORT: {
    field: ({ kubernetes }) => kubernetes.operator.port,
    whenUnset: 8081,
    good: [['0', 0]],
    bad: ['65536', 'http'],
  },
  TERMINALS_OPERATOR_ALL_NAMESPACES: {
    field: ({ kubernetes }) => kubernetes.operator.allNamespaces,
    whenUnset: false,
    good: [['true', true]],
    bad: ['all'],
  },
  TERMINALS_OPERATOR_LEADER_ELECTION: {
    field: ({ kubernetes }) => kubernetes.operator.leaderElection,
    whenUnset: true,
    good: [['false', false]],
    bad: ['off'],
  },
  TERMINALS_OPERATOR_LEASE: {
    field: ({ kubernetes }) => kubernetes.operator.lease,
    whenUnset: 'terminals-operator',
    good: [['web-terminals-operator', 'web-terminals-operator']],
    bad: badNames,
  },
};
