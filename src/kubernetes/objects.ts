/**
 * Kubernetes objects as JSON carries them. The types of the client library are for its own decoder, which makes Dates;
 * nothing here needs one, and leaving the JSON as it came keeps 5,000 objects small.
 * @module
 */
import type {
  V1ConfigMap,
  V1NetworkPolicy,
  V1OwnerReference,
  V1PersistentVolumeClaim,
  V1Pod,
  V1Secret,
  V1Service,
} from '@kubernetes/client-node';

/** The same type with the times as the text that they are in JSON, and JSON's names (`from`, where the library says `_from`). */
type Json<T> = T extends Date
  ? string
  : T extends readonly (infer Item)[]
    ? readonly Json<Item>[]
    : T extends object
      ? { readonly [Field in keyof T as Field extends `_${infer Name}` ? Name : Field]: Json<T[Field]> }
      : T;

export type OwnerReference = Json<V1OwnerReference>;

/** What every object has. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly finalizers?: readonly string[];
  readonly managedFields?: unknown;
}

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: ObjectMeta;
}

type Typed<T> = KubeObject & Omit<Json<T>, 'apiVersion' | 'kind' | 'metadata'>;

export type Pod = Typed<V1Pod>;
export type PodSpec = NonNullable<Pod['spec']>;
export type Container = PodSpec['containers'][number];
export type EnvVar = NonNullable<Container['env']>[number];
export type PodSecurityContext = NonNullable<PodSpec['securityContext']>;
export type SecurityContext = NonNullable<Container['securityContext']>;
export type Service = Typed<V1Service>;
export type Secret = Typed<V1Secret>;
export type VolumeClaim = Typed<V1PersistentVolumeClaim>;
export type NetworkPolicy = Typed<V1NetworkPolicy>;
export type ConfigMap = Typed<V1ConfigMap>;

/** One kind of object and where the API server keeps it. */
export interface Resource<T extends KubeObject> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly plural: string;
  /** Never there: it only carries the type of the objects. */
  readonly object?: T;
}

function resource<T extends KubeObject>(apiVersion: string, kind: string, plural: string): Resource<T> {
  return { apiVersion, kind, plural };
}

export const pods = resource<Pod>('v1', 'Pod', 'pods');
export const services = resource<Service>('v1', 'Service', 'services');
export const secrets = resource<Secret>('v1', 'Secret', 'secrets');
export const volumeClaims = resource<VolumeClaim>('v1', 'PersistentVolumeClaim', 'persistentvolumeclaims');
export const networkPolicies = resource<NetworkPolicy>(
  'networking.k8s.io/v1',
  'NetworkPolicy',
  'networkpolicies',
);
export const configMaps = resource<ConfigMap>('v1', 'ConfigMap', 'configmaps');
export const events = resource<KubeObject>('v1', 'Event', 'events');

/** `/api/v1/namespaces/{namespace}/pods/{name}`, as far as the parts are given. */
export function pathOf(
  { apiVersion, plural }: Pick<Resource<KubeObject>, 'apiVersion' | 'plural'>,
  namespace: string | undefined,
  name?: string,
  subresource?: string,
): string {
  const root = apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`;
  const scope = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  const rest = [plural, ...[name, subresource].filter((part) => part !== undefined).map(encodeURIComponent)];
  return `${root}${scope}/${rest.join('/')}`;
}
