/**
 * Brings the children around a Pod to what they should be, and writes nothing where they are so already.
 * @module
 */
import { randomBytes } from 'node:crypto';
import type { KubeClient } from '../kubernetes/client.ts';
import type { EventRecorder } from '../kubernetes/event-recorder.ts';
import { type Informer, keyOf } from '../kubernetes/informer.ts';
import { isRefusal } from '../kubernetes/kube-error.ts';
import {
  type KubeObject,
  type NetworkPolicy,
  networkPolicies,
  pathOf,
  type Resource,
  type Secret,
  type Service,
  secrets,
  services,
  type VolumeClaim,
  volumeClaims,
} from '../kubernetes/objects.ts';
import { parseMemory } from '../terminal/quantity.ts';
import type { Caches } from './caches.ts';
import { childNames } from './child-names.ts';
import { keyHashOf, networkPolicyOf, secretOf, serviceOf, volumeClaimOf, withKey } from './children.ts';
import { covers, isAsWanted } from './covers.ts';
import type { OperatorDefaults } from './defaults.ts';
import { ownershipOf } from './ownership.ts';
import { fieldManager, type TerminalResource } from './terminal-resource.ts';
import { CollisionError, LeavingError } from './trouble.ts';

export interface EnsureOptions {
  readonly client: KubeClient;
  readonly caches: Caches;
  readonly defaults: OperatorDefaults;
  readonly events: Pick<EventRecorder, 'record'>;
}

const mergePatch = 'application/merge-patch+json';

export class Children {
  readonly #client: KubeClient;
  readonly #caches: Caches;
  readonly #defaults: OperatorDefaults;
  readonly #events: Pick<EventRecorder, 'record'>;
  /** What the API server said to a new size of a home; it would say the same again until home or size change. */
  readonly #refusedSizes = new Map<string, { readonly asked: string; readonly message: string }>();

  constructor({ client, caches, defaults, events }: EnsureOptions) {
    this.#client = client;
    this.#caches = caches;
    this.#defaults = defaults;
    this.#events = events;
  }

  /**
   * All but the Pod, at the same time.
   * @returns what the Pod needs to know: the hash of the key, and notes for the status
   * @throws the first that failed, once all have ended
   */
  async ensure(
    terminal: TerminalResource,
    signal: AbortSignal,
  ): Promise<{ readonly keyHash: string; readonly notes: readonly string[] }> {
    const names = childNames(terminal);
    const policies = this.#caches.networkPolicies;
    const [secret, home, ...others] = await Promise.allSettled([
      this.#secret(terminal, names.secret, signal),
      terminal.spec.persistence.enabled ? this.#home(terminal, names.volumeClaim, signal) : null,
      this.#service(terminal, names.service, signal),
      policies && this.#network(terminal, policies, names.networkPolicy, signal),
    ]);
    for (const other of others) if (other.status === 'rejected') throw other.reason;
    if (secret.status === 'rejected') throw secret.reason;
    if (home.status === 'rejected') throw home.reason;
    return { keyHash: secret.value, notes: home.value ?? [] };
  }

  /** The Terminal is gone. */
  forget(terminal: TerminalResource): void {
    this.#refusedSizes.delete(keyOf(terminal));
  }

  /** As the cache has it; what it hasn't is asked for once, since it holds only what has our labels. */
  async find<T extends KubeObject>(
    terminal: TerminalResource,
    resource: Resource<T>,
    cache: Informer<T>,
    name: string,
    signal: AbortSignal,
  ): Promise<T | undefined> {
    const namespace = terminal.metadata.namespace ?? '';
    const found =
      cache.get(`${namespace}/${name}`) ?? (await this.#client.get(resource, namespace, name, signal));
    if (found === undefined) return undefined;
    const ownership = ownershipOf({ ...found, kind: resource.kind }, terminal);
    if (ownership === 'foreign') throw new CollisionError(resource.kind, name);
    if (ownership === 'leaving' || found.metadata.deletionTimestamp)
      throw new LeavingError(resource.kind, name);
    return found;
  }

  /** @param existing as `find` gave it */
  async #apply<T extends KubeObject>(
    terminal: TerminalResource,
    resource: Resource<T>,
    cache: Informer<T>,
    existing: T | undefined,
    object: T,
    signal: AbortSignal,
  ): Promise<void> {
    if (existing !== undefined && isAsWanted(existing, object, terminal)) return;
    // With the uid an apply can't meet another object than the one looked at; without force it takes nothing from others.
    const exact = existing && { ...object, metadata: { ...object.metadata, uid: existing.metadata.uid } };
    const force = existing !== undefined;
    const applied = await this.#client.apply(resource, exact ?? object, {
      manager: fieldManager,
      force,
      signal,
    });
    cache.absorb(applied);
  }

  async #network(
    terminal: TerminalResource,
    cache: Informer<NetworkPolicy>,
    name: string,
    signal: AbortSignal,
  ): Promise<void> {
    const existing = await this.find(terminal, networkPolicies, cache, name, signal);
    const wanted = networkPolicyOf(terminal, this.#defaults);
    await this.#apply(terminal, networkPolicies, cache, existing, wanted, signal);
  }

  async #service(terminal: TerminalResource, name: string, signal: AbortSignal): Promise<void> {
    const wanted = serviceOf(terminal);
    const cache = this.#caches.services;
    let existing = await this.find(terminal, services, cache, name, signal);
    const ports = wanted.spec?.ports;
    if (existing !== undefined && !covers(existing.spec?.ports, ports)) {
      // An apply would leave a port that somebody added; a merge patch replaces the list.
      const body = { metadata: { uid: existing.metadata.uid }, spec: { ports } };
      const path = pathOf(services, terminal.metadata.namespace, name);
      const options = { query: { fieldManager }, body, contentType: mergePatch, signal };
      existing = await this.#client.request<Service>('PATCH', path, options);
      cache.absorb(existing);
    }
    await this.#apply(terminal, services, cache, existing, wanted, signal);
  }

  /**
   * Made by a POST, not by an apply: of two operators that both see none, only one may make a key. From then on the key is
   * the Secret's own and only read.
   * @returns the hash of the key
   */
  async #secret(terminal: TerminalResource, name: string, signal: AbortSignal): Promise<string> {
    const cache = this.#caches.secrets;
    const existing = await this.find(terminal, secrets, cache, name, signal);
    const wanted = secretOf(terminal);
    let secret: Secret;
    if (existing === undefined) {
      secret = await this.#client.create(secrets, withKey(wanted, newKey()), fieldManager, signal);
      cache.absorb(secret);
    } else if (keyHashOf(existing) === undefined) {
      secret = await this.#patchSecret(terminal, existing, withKey(wanted, newKey()), signal);
      this.#events.record(
        terminal,
        'Warning',
        'KeyMissing',
        `the Secret ${name} held no key; it has a new one`,
      );
    } else if (!isAsWanted(existing, wanted, terminal)) {
      secret = await this.#patchSecret(terminal, existing, wanted, signal);
    } else secret = existing;
    return keyHashOf(secret) ?? '';
  }

  async #patchSecret(
    terminal: TerminalResource,
    existing: Secret,
    wanted: Secret,
    signal: AbortSignal,
  ): Promise<Secret> {
    const { uid, resourceVersion } = existing.metadata;
    const patched = await this.#client.request<Secret>(
      'PATCH',
      pathOf(secrets, terminal.metadata.namespace, existing.metadata.name),
      {
        query: { fieldManager },
        body: { ...wanted, metadata: { ...wanted.metadata, uid, resourceVersion } },
        contentType: mergePatch,
        signal,
      },
    );
    this.#caches.secrets.absorb(patched);
    return patched;
  }

  /** @returns what can't be done about the home, in sentences */
  async #home(terminal: TerminalResource, name: string, signal: AbortSignal): Promise<readonly string[]> {
    const cache = this.#caches.volumeClaims;
    const existing = await this.find(terminal, volumeClaims, cache, name, signal);
    const wanted = volumeClaimOf(terminal, this.#defaults, existing);
    const notes = existing === undefined ? [] : unchangeable(terminal, existing);
    const asked = `${existing?.metadata.resourceVersion} ${wanted.spec?.resources?.requests?.storage}`;
    const refused = this.#refusedSizes.get(keyOf(terminal));
    if (refused?.asked === asked) return [...notes, refused.message];
    try {
      await this.#apply(terminal, volumeClaims, cache, existing, wanted, signal);
      this.#refusedSizes.delete(keyOf(terminal));
      return notes;
    } catch (error) {
      if (existing === undefined || !isRefusal(error)) throw error;
      const message = `the home keeps its size: ${error.message}`;
      this.#refusedSizes.set(keyOf(terminal), { asked, message });
      this.#events.record(terminal, 'Warning', 'HomeNotResized', message);
      return [...notes, message];
    }
  }
}

/** What the Terminal asks for and a home that is there can't become. */
function unchangeable(terminal: TerminalResource, { spec }: VolumeClaim): readonly string[] {
  const { size, storageClass } = terminal.spec.persistence;
  const present = spec?.resources?.requests?.storage;
  const notes: string[] = [];
  if (present !== undefined && parseMemory(present) > parseMemory(size)) {
    notes.push(`the home keeps its ${present}: a volume can't shrink`);
  }
  if (storageClass !== undefined && spec?.storageClassName !== storageClass) {
    notes.push(`the home stays in storage class ${spec?.storageClassName}: a volume can't change it`);
  }
  return notes;
}

/** 32 random bytes. */
function newKey(): string {
  return randomBytes(32).toString('base64url');
}
