/** The variables of the environment that are about Kubernetes. @module */
import type { Variable } from './variables.ts';

export const kubernetesVariables = [
  {
    name: 'TERMINALS_POLICIES_CONFIGMAP',
    default: '',
    meaning:
      'Kubernetes ConfigMap with policies, instead of a directory; with a `=` in it, a label selector over several',
  },
  {
    name: 'TERMINALS_KUBERNETES_NAMESPACE',
    default: '',
    meaning:
      "namespace of the terminals and the policies' ConfigMaps; empty: the own one, or that of the kubeconfig",
  },
  {
    name: 'TERMINALS_KUBERNETES_KUBECONFIG',
    default: '',
    meaning: "kubeconfig file; empty: KUBECONFIG, `~/.kube/config`, or the Pod's own service account",
  },
  {
    name: 'TERMINALS_KUBERNETES_ADDRESS',
    default: 'pod',
    meaning: "reach terminals by their `pod`'s address, or by their `service`'s name",
  },
  {
    name: 'TERMINALS_KUBERNETES_LABELS',
    default: '',
    meaning:
      'labels on the Pods of terminals: `name=value`, comma-separated, or JSON; give this and the next four to the operator too, for Terminal resources made by hand',
  },
  {
    name: 'TERMINALS_KUBERNETES_NODE_SELECTOR',
    default: '',
    meaning: 'nodes that they may run on, written likewise',
  },
  {
    name: 'TERMINALS_KUBERNETES_TOLERATIONS',
    default: '',
    meaning: 'taints that they tolerate: a JSON list as in a Pod',
  },
  {
    name: 'TERMINALS_KUBERNETES_POD_SECURITY_CONTEXT',
    default: '',
    meaning: 'laid over the security context of the Pods: JSON',
  },
  {
    name: 'TERMINALS_KUBERNETES_CONTAINER_SECURITY_CONTEXT',
    default: '',
    meaning: "laid over that of the terminal's container, likewise",
  },
  {
    name: 'TERMINALS_KUBERNETES_RESTRICTED',
    default: 'false',
    meaning: 'whether they keep to Pod Security "restricted": no sudo, so no Debian packages',
  },
  {
    name: 'TERMINALS_KUBERNETES_PERSISTENCE',
    default: 'true',
    meaning: 'whether homes are kept, where a policy says nothing of it',
  },
  {
    name: 'TERMINALS_KUBERNETES_STORAGE_SIZE',
    default: '',
    meaning: 'size of homes whose policy names none',
  },
  {
    name: 'TERMINALS_KUBERNETES_LEASE',
    default: 'terminals-orchestrator',
    meaning:
      'name of the Lease by which orchestrators elect the one that does what nobody waits for, of the ConfigMap of how revisions fare, and on their Terminals (`openwebui.com/orchestrator`)',
  },
  {
    name: 'TERMINALS_KUBERNETES_STORAGE_CLASS',
    default: '',
    meaning: "operator: storage class of homes whose policy names none; empty: the cluster's default",
  },
  {
    name: 'TERMINALS_KUBERNETES_IMAGE_PULL_POLICY',
    default: 'IfNotPresent',
    meaning: 'operator: when images are pulled: `Always`, `IfNotPresent` or `Never`',
  },
  {
    name: 'TERMINALS_KUBERNETES_IMAGE_PULL_SECRETS',
    default: '',
    meaning: 'operator: Secrets with the logins of their registries, comma-separated',
  },
  {
    name: 'TERMINALS_KUBERNETES_ORCHESTRATOR_NAMESPACE',
    default: '',
    meaning: 'operator: where the orchestrator is that may connect to terminals; empty: their own namespace',
  },
  {
    name: 'TERMINALS_OPERATOR_PORT',
    default: '8081',
    meaning: 'operator: port of /health and /ready; 0: any free one',
  },
  {
    name: 'TERMINALS_OPERATOR_ALL_NAMESPACES',
    default: 'false',
    meaning: 'operator: whether it serves the Terminal resources of all namespaces',
  },
  {
    name: 'TERMINALS_OPERATOR_LEADER_ELECTION',
    default: 'true',
    meaning: 'operator: whether replicas elect the one that works, by a Lease',
  },
  {
    name: 'TERMINALS_OPERATOR_LEASE',
    default: 'terminals-operator',
    meaning: 'operator: name of that Lease',
  },
] as const satisfies readonly Variable[];

export type KubernetesVariableName = (typeof kubernetesVariables)[number]['name'];
