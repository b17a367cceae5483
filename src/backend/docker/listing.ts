/**
 * What is there: all of our containers at once, and each again whenever an event says that it may have changed.
 * @module
 */
import type Docker from 'dockerode';
import type { ContainerInspectInfo } from 'dockerode';
import type { Logger } from 'pino';
import { terminalName } from '../../terminal/names.ts';
import type { Actual, TerminalKey, UserId } from '../../terminal/terminal.ts';
import type { BackendListener } from '../backend.ts';
import type { Claims } from './claims.ts';
import { labels, ours } from './container.ts';
import type { Containers } from './containers.ts';
import { engineCall, toldAsFault } from './engine.ts';
import { followEvents } from './events.ts';
import { nameOf, warmPolicyOf } from './observe.ts';

export interface ListingOptions {
  readonly docker: Docker;
  readonly containers: Containers;
  readonly claims: Claims;
  /** The terminal of a key now, straight from the engine. */
  readonly inspect: (key: TerminalKey, signal: AbortSignal) => Promise<Actual | undefined>;
  readonly log: Logger;
}

const parallelInspects = 16;
/** A list waits so long at most for the event stream to be opened. */
const openingMs = 1_000;

export class Listing {
  readonly #options: ListingOptions;
  /** Of our containers, since events of networks do not say whose theirs are. */
  readonly #known = new Map<string, TerminalKey>();
  /** A list that has not begun yet, which is for everybody who asks until then. */
  #next: Promise<readonly Actual[]> | null = null;
  /** Over when the event stream is open, or can't be opened: what is listed before that would have to be listed again. */
  #opening: Promise<void> = Promise.resolve();
  /** Ids of containers of which it was said that nobody knows whose they are. */
  readonly #unclear = new Set<string>();

  constructor(options: ListingOptions) {
    this.#options = options;
  }

  /** @param user only theirs; absent: everybody's */
  list(signal: AbortSignal, user?: UserId): Promise<readonly Actual[]> {
    if (user !== undefined) return this.#list(signal, [ours, `${labels.user}=${user}`]);
    this.#next ??= this.#opening.then(() => {
      this.#next = null;
      return this.#listAll(signal);
    });
    return this.#next;
  }

  async #listAll(signal: AbortSignal): Promise<readonly Actual[]> {
    const { claims } = this.#options;
    await claims.load();
    const noted = claims.names;
    const all = await this.#list(signal, [ours]);
    const names = new Set<string>(all.map(({ name }) => name));
    claims.forget(noted.filter((name) => !names.has(name)));
    return all;
  }

  async #list(signal: AbortSignal, label: readonly string[]): Promise<readonly Actual[]> {
    const { docker, containers } = this.#options;
    const filters = { label: [...label] };
    const listing = await toldAsFault(
      engineCall(signal, (abortSignal) => docker.listContainers({ all: true, filters, abortSignal })),
    );
    const ids = listing.map(({ Id }) => Id);
    const found: Actual[] = [];
    const inspectNext = async (): Promise<void> => {
      for (let id = ids.pop(); id !== undefined; id = ids.pop()) {
        const info = await containers.inspect(id, signal);
        const actual = info && (await containers.observeAsked(info, signal));
        if (info && !actual) this.#sayUnclear(info);
        if (!actual) continue;
        found.push(actual);
        this.#known.set(id, actual.key);
      }
    };
    await Promise.all(Array.from({ length: parallelInspects }, inspectNext));
    return found;
  }

  /** It may be in use, so that it is left alone. */
  #sayUnclear(info: ContainerInspectInfo): void {
    if (warmPolicyOf(info.Config.Labels ?? {}) === null || this.#unclear.has(info.Id)) return;
    this.#unclear.add(info.Id);
    this.#options.log.warn(
      { terminal: nameOf(info) },
      'a terminal that was kept warm is of a user who is not known: it is left as it is until they ask for it, or it is removed by hand',
    );
  }

  /** Reports changes until the signal aborts. */
  watch(listener: BackendListener, signal: AbortSignal): void {
    const { docker, containers, claims, inspect, log } = this.#options;
    const looking = new Set<string>();
    const again = new Set<string>();
    const known = this.#known;
    const opened = Promise.withResolvers<void>();
    this.#opening = opened.promise;
    setTimeout(opened.resolve, openingMs).unref();

    const look = async (id: string, key: TerminalKey): Promise<void> => {
      if (looking.has(id)) {
        again.add(id);
        return;
      }
      looking.add(id);
      const since = listener.count;
      try {
        const info = await containers.inspect(id, signal);
        if (info === null) known.delete(id);
        // One that is gone, or was renamed, may have been replaced by now: what counts is what bears the name.
        const seen = info && containers.observe(info);
        const same = seen?.name === terminalName(key);
        listener.changed(key, same ? seen : await inspect(key, signal), since);
      } catch (error) {
        if (!signal.aborted) log.warn({ err: error }, 'a changed container could not be inspected');
      }
      looking.delete(id);
      if (again.delete(id)) await look(id, key);
    };

    void followEvents(
      docker,
      {
        happened: (id, attributes) => {
          const key = claims.keyOf(attributes, attributes.name ?? '');
          if (key === null) return;
          known.set(id, key);
          void look(id, key);
        },
        networkChanged: (id) => {
          const key = known.get(id);
          if (key) void look(id, key);
        },
        connected: async () => {
          known.clear();
          opened.resolve();
          const since = listener.count;
          listener.relisted(await this.list(signal), since);
        },
        lost: () => opened.resolve(),
      },
      log,
      signal,
    );
  }
}
