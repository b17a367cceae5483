/**
 * From the configuration to a client. Loaded only where a cluster is used: the client library takes a while to load.
 * @module
 */
import { readFileSync } from 'node:fs';
import { KubeConfig } from '@kubernetes/client-node';
import { EngineUnavailableError } from '../errors.ts';
import { KubeClient } from './client.ts';

export interface ConnectOptions {
  /** A kubeconfig file; null: KUBECONFIG, ~/.kube/config, or the Pod's own account. */
  readonly kubeconfig: string | null;
  /** null: the Pod's own, that of the kubeconfig's context, or `default`. */
  readonly namespace: string | null;
}

export interface Connection {
  readonly config: KubeConfig;
  readonly client: KubeClient;
  readonly namespace: string;
}

const ownNamespace = '/var/run/secrets/kubernetes.io/serviceaccount/namespace';

/** Connects to nothing yet. @throws EngineUnavailableError where no cluster is named */
export function connect({ kubeconfig, namespace }: ConnectOptions): Connection {
  const config = new KubeConfig();
  try {
    if (kubeconfig === null) config.loadFromDefault();
    else config.loadFromFile(kubeconfig);
    if (isMadeUp(config)) throw new Error('neither a kubeconfig nor an account');
    const client = new KubeClient(config);
    return { config, client, namespace: namespace ?? namespaceOf(config) };
  } catch (error) {
    throw new EngineUnavailableError(
      `No Kubernetes cluster can be used: ${error instanceof Error ? error.message : error}.`,
      'Set TERMINALS_KUBERNETES_KUBECONFIG or KUBECONFIG, or run in a Pod with a service account.',
      { cause: error },
    );
  }
}

/** Where nothing names a cluster, the library takes one that may be at this address, and would be asked for ever. */
function isMadeUp(config: KubeConfig): boolean {
  const server = config.getCurrentCluster()?.server;
  return config.getCurrentContext() === 'loaded-context' && server === 'http://localhost:8080';
}

function namespaceOf(config: KubeConfig): string {
  const context = config.getContextObject(config.getCurrentContext())?.namespace;
  if (context) return context;
  try {
    return readFileSync(ownNamespace, 'utf8').trim() || 'default';
  } catch {
    return 'default';
  }
}
