/** A ServiceAccount that may do so much and no more. */
import assert from 'node:assert/strict';
import { KubeConfig } from '@kubernetes/client-node';
import type { KubeObject, Resource } from '../../src/kubernetes/objects.ts';
import { type Cluster, kubeConfig } from './cluster.ts';

const rbac = 'rbac.authorization.k8s.io/v1';
const roles: Resource<KubeObject> = { apiVersion: rbac, kind: 'Role', plural: 'roles' };
const bindings: Resource<KubeObject> = { apiVersion: rbac, kind: 'RoleBinding', plural: 'rolebindings' };
const accounts: Resource<KubeObject> = {
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
};

/** A kubeconfig of a ServiceAccount with these rights alone. */
export async function accountWith(cluster: Cluster, name: string, granted: unknown): Promise<KubeConfig> {
  await cluster.apply(accounts, name, {});
  await cluster.apply(roles, name, { rules: granted });
  await cluster.apply(bindings, name, {
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
    subjects: [{ kind: 'ServiceAccount', name, namespace: cluster.namespace }],
  });
  const path = `/api/v1/namespaces/${cluster.namespace}/serviceaccounts/${name}/token`;
  const answer = await cluster.client.request<{ status: { token: string } }>('POST', path, {
    body: { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', spec: {} },
  });
  const server = kubeConfig().getCurrentCluster();
  assert.ok(server);
  const config = new KubeConfig();
  config.loadFromClusterAndUser(server, { name, token: answer.status.token });
  return config;
}
