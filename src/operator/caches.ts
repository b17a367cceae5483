/** Everything that the operator looks at, each kind listed and watched once. @module */
import type { Logger } from 'pino';
import type { KubeClient } from '../kubernetes/client.ts';
import { Informer, keyOf } from '../kubernetes/informer.ts';
import {
  type KubeObject,
  type NetworkPolicy,
  networkPolicies,
  type Pod,
  pods,
  type Resource,
  type Secret,
  type Service,
  secrets,
  services,
  type VolumeClaim,
  volumeClaims,
} from '../kubernetes/objects.ts';
import { requestOf } from '../kubernetes/reconcile-request.ts';
import { apiKeyField, childSelector, containerName } from './child-names.ts';
import { terminalNameOf } from './ownership.ts';
import { keepAnnotation, resetAnnotation } from './reset-request.ts';
import { stopAnnotation, type TerminalResource, terminals } from './terminal-resource.ts';

export interface CachesOptions {
  readonly client: KubeClient;
  /** undefined: all namespaces. */
  readonly namespace: string | undefined;
  /** Without them, NetworkPolicies are neither watched nor made. */
  readonly networkPolicies: boolean;
  readonly log: Logger;
}

export class Caches {
  readonly terminals: Informer<TerminalResource>;
  readonly pods: Informer<Pod>;
  readonly services: Informer<Service>;
  readonly secrets: Informer<Secret>;
  readonly volumeClaims: Informer<VolumeClaim>;
  readonly networkPolicies: Informer<NetworkPolicy> | null;

  constructor(options: CachesOptions) {
    const { client, namespace, log } = options;
    const informer = <T extends KubeObject>(resource: Resource<T>, slim?: (object: T) => T) =>
      new Informer<T>({
        ...{ client, resource, namespace, log },
        ...(resource.kind === terminals.kind ? {} : { labelSelector: childSelector }),
        ...(slim === undefined ? {} : { slim }),
      });
    this.terminals = informer(terminals);
    this.pods = informer(pods, slimPod);
    this.services = informer(services);
    this.secrets = informer(secrets, slimSecret);
    this.volumeClaims = informer(volumeClaims);
    this.networkPolicies = options.networkPolicies ? informer(networkPolicies) : null;
  }

  /** Lists and watches until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#all.map((informer) => informer.run(signal)));
  }

  get synced(): Promise<unknown> {
    return Promise.all(this.#all.map((informer) => informer.synced));
  }

  get hasSynced(): boolean {
    return this.#all.every((informer) => informer.hasSynced);
  }

  /**
   * Tells the key of the Terminal whose own state, or whose child's, may have changed.
   * @param listener `own`: all that changed is what an operator writes itself, the status but for the activity
   */
  onChange(listener: (key: string, own: boolean) => void): void {
    this.terminals.onChange((now, before) => {
      const terminal = now ?? before;
      if (terminal !== undefined) listener(keyOf(terminal), ownChange(now, before));
    });
    for (const informer of this.#children) {
      informer.onChange((now: KubeObject | undefined, before: KubeObject | undefined) => {
        const child = now ?? before;
        const name = child && terminalNameOf(child);
        if (name !== undefined) listener(`${child?.metadata.namespace ?? ''}/${name}`, false);
      });
    }
  }

  get #children() {
    const { pods, services, secrets, volumeClaims, networkPolicies } = this;
    return [pods, services, secrets, volumeClaims, ...(networkPolicies === null ? [] : [networkPolicies])];
  }

  get #all() {
    return [this.terminals, ...this.#children];
  }
}

/** The annotations by which something is asked for. */
const requests = [stopAnnotation, resetAnnotation, keepAnnotation];

function ownChange(now: TerminalResource | undefined, before: TerminalResource | undefined): boolean {
  if (now === undefined || before === undefined) return false;
  return (
    now.metadata.uid === before.metadata.uid &&
    now.metadata.generation === before.metadata.generation &&
    now.status?.lastActivityAt === before.status?.lastActivityAt &&
    requestOf(now) === requestOf(before) &&
    now.status?.lastResetAt === before.status?.lastResetAt &&
    requests.every((name) => now.metadata.annotations?.[name] === before.metadata.annotations?.[name])
  );
}

/** Of a Pod's spec only the resources of its containers are compared, and a kubelet says more than is looked at. */
function slimPod(pod: Pod): Pod {
  const containers = pod.spec?.containers
    .filter(({ name }) => name === containerName)
    .map(({ name, resources }) => ({ name, ...(resources === undefined ? {} : { resources }) }));
  const { hostIP: _ip, hostIPs: _ips, podIPs: _podIPs, qosClass: _class, ...status } = pod.status ?? {};
  const { conditions, containerStatuses } = status;
  return {
    ...pod,
    spec: { containers: containers ?? [] },
    status: {
      ...status,
      ...(conditions && { conditions: conditions.filter(({ type }) => !unread.has(type)) }),
      ...(containerStatuses && { containerStatuses: containerStatuses.map(slimContainerStatus) }),
    },
  };
}

const unread = new Set(['PodReadyToStartContainers', 'Initialized', 'ContainersReady']);

type ContainerStatus = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number];

function slimContainerStatus(status: ContainerStatus): ContainerStatus {
  const {
    containerID: _id,
    resources: _resources,
    allocatedResources: _all,
    volumeMounts: _mounts,
    ...rest
  } = status;
  return rest;
}

/** The key alone. */
function slimSecret(secret: Secret): Secret {
  const key = secret.data?.[apiKeyField];
  return { ...secret, data: key === undefined ? {} : { [apiKeyField]: key } };
}
