/** The little that the bench asks of a Kubernetes cluster itself: the one that KUBECONFIG names. @module */
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { KubeConfig } from '@kubernetes/client-node';
import { parse } from 'yaml';
import type { KubeClient } from '../src/kubernetes/client.ts';
import { connect } from '../src/kubernetes/connect.ts';
import { type KubeObject, pathOf, type Resource } from '../src/kubernetes/objects.ts';
import { terminals } from '../src/operator/terminal-resource.ts';
import { until } from './processes.ts';

/** Of the bench's own writes. */
export const manager = 'terminals-bench';
const crd = fileURLToPath(new URL('../schemas/terminal.crd.yaml', import.meta.url));
const crds: Resource<KubeObject> = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
};
const namespaces: Resource<KubeObject> = { apiVersion: 'v1', kind: 'Namespace', plural: 'namespaces' };

const serviceAccounts: Resource<KubeObject> = {
  apiVersion: 'v1',
  kind: 'ServiceAccount',
  plural: 'serviceaccounts',
};

/** A namespace of its own, with the resource definition of this checkout. */
export class BenchCluster {
  readonly config: KubeConfig;
  readonly client: KubeClient;
  readonly namespace: string;
  readonly #kept: boolean;

  private constructor(config: KubeConfig, client: KubeClient, namespace: string, kept: boolean) {
    this.config = config;
    this.client = client;
    this.namespace = namespace;
    this.#kept = kept;
  }

  /**
   * @param kept a namespace that stays, with what is in it; null: one for this run
   * @throws Error that says what is missing
   */
  static async open(kept: string | null = null): Promise<BenchCluster> {
    if (!process.env.KUBECONFIG) throw new Error('no cluster: set KUBECONFIG to the file of one for tests');
    const namespace = kept ?? `bench-${Date.now().toString(36)}`;
    const { config, client } = connect({ kubeconfig: null, namespace });
    const definition = parse(await readFile(crd, 'utf8'));
    await client.apply(crds, definition, { manager, force: true });
    const object = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
    await client.apply(namespaces, object, { manager, force: true });
    // Pods need it, and without a controller manager nobody makes it.
    const account = { ...object, kind: serviceAccounts.kind, metadata: { name: 'default', namespace } };
    await client.apply(serviceAccounts, account, { manager, force: true });
    const cluster = new BenchCluster(config, client, namespace, kept !== null);
    // A new definition is served a moment later.
    await until(() => cluster.#served(), 10_000, 'the Terminal resource is served');
    return cluster;
  }

  async #served(): Promise<true | undefined> {
    const listed = this.client.request('GET', pathOf(terminals, this.namespace), { query: { limit: 1 } });
    return listed.then(
      () => true,
      () => undefined,
    );
  }

  /** The URL of the API server. */
  get server(): URL {
    return new URL(this.config.getCurrentCluster()?.server ?? '');
  }

  /** Removes the namespace; the cluster's controllers remove what is in it, where there are any. */
  async close(): Promise<void> {
    const body = { propagationPolicy: 'Background' };
    if (!this.#kept) await this.client.request('DELETE', `/api/v1/namespaces/${this.namespace}`, { body });
    await this.client.close();
  }
}

/** A kubeconfig for a server that asks for no credentials. @returns the file */
export async function kubeconfigFor(server: string, folder: string, name: string): Promise<string> {
  const file = path.join(folder, `${name}.kubeconfig`);
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    // The client library takes plain HTTP only with this.
    clusters: [{ name, cluster: { server, 'insecure-skip-tls-verify': true } }],
    contexts: [{ name, context: { cluster: name, user: '' } }],
    'current-context': name,
  };
  await writeFile(file, JSON.stringify(config));
  return file;
}
