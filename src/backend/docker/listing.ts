/**
 * What is there: all of our containers at once, and each again whenever an event says that it may have changed.
 * @module
 */
import type Docker from 'dockerode';
import type { Logger } from 'pino';
import type { Actual, TerminalKey } from '../../terminal/terminal.ts';
import type { BackendListener } from '../backend.ts';
import { ours } from './container.ts';
import type { Containers } from './containers.ts';
import { engineCall } from './engine.ts';
import { followEvents } from './events.ts';
import { keyOf } from './observe.ts';

export interface ListingOptions {
  readonly docker: Docker;
  readonly containers: Containers;
  /** The terminal of a key now, straight from the engine. */
  readonly inspect: (key: TerminalKey, signal: AbortSignal) => Promise<Actual | undefined>;
  readonly log: Logger;
}

const parallelInspects = 16;

export class Listing {
  readonly #options: ListingOptions;

  constructor(options: ListingOptions) {
    this.#options = options;
  }

  /** @param seen told of each container */
  async list(signal: AbortSignal, seen?: (id: string, key: TerminalKey) => void): Promise<readonly Actual[]> {
    const { docker, containers } = this.#options;
    const listing = await engineCall(signal, (abortSignal) =>
      docker.listContainers({ all: true, filters: { label: [ours] }, abortSignal }),
    );
    const ids = listing.map(({ Id }) => Id);
    const found: Actual[] = [];
    const inspectNext = async (): Promise<void> => {
      for (let id = ids.pop(); id !== undefined; id = ids.pop()) {
        const info = await containers.inspect(id, signal);
        const actual = info && (await containers.observeAsked(info, signal));
        if (!actual) continue;
        found.push(actual);
        seen?.(id, actual.key);
      }
    };
    await Promise.all(Array.from({ length: parallelInspects }, inspectNext));
    return found;
  }

  /** Reports changes until the signal aborts. */
  watch(listener: BackendListener, signal: AbortSignal): void {
    const { docker, containers, inspect, log } = this.#options;
    const looking = new Set<string>();
    const again = new Set<string>();
    /** Of our containers, since events of networks do not say whose theirs are. */
    const known = new Map<string, TerminalKey>();

    const look = async (id: string, key: TerminalKey): Promise<void> => {
      if (looking.has(id)) {
        again.add(id);
        return;
      }
      looking.add(id);
      try {
        const info = await containers.inspect(id, signal);
        if (info === null) known.delete(id);
        // One that is gone, or was renamed, may have been replaced by now: what counts is what bears the name.
        listener.changed(key, (info && containers.observe(info)) ?? (await inspect(key, signal)));
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
          const key = keyOf(attributes);
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
          listener.relisted(await this.list(signal, (id, key) => known.set(id, key)));
        },
      },
      log,
      signal,
    );
  }
}
