/** Writing one Terminal, so that the cache has at once what was written, and waiting for what comes of it. @module */
import type { KubeClient } from '../../kubernetes/client.ts';
import { pathOf } from '../../kubernetes/objects.ts';
import { type TerminalResource, terminals } from '../../operator/terminal-resource.ts';
import { type Declared, manager } from './declare.ts';
import { notSettled } from './failures.ts';
import type { TerminalCache } from './terminal-cache.ts';
import { until } from './until.ts';

export interface TerminalWriterOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly cache: TerminalCache;
}

/** The operator stops a terminal, and the API server forgets one, well within this. */
const settleMs = 20_000;

export class TerminalWriter {
  readonly #options: TerminalWriterOptions;

  constructor(options: TerminalWriterOptions) {
    this.#options = options;
  }

  /** By server-side apply. @throws KubeError */
  async apply(declared: Declared, signal: AbortSignal): Promise<TerminalResource> {
    const { client, cache } = this.#options;
    const terminal = await client.apply(terminals, declared, { manager, force: true, signal });
    cache.terminals.absorb(terminal);
    return terminal;
  }

  /** @param metadata what of it is to be otherwise; with a `uid` or `resourceVersion`, of that one alone. @throws KubeError */
  async annotate(name: string, metadata: object, signal: AbortSignal): Promise<TerminalResource> {
    const { client, namespace, cache } = this.#options;
    const patched = await client.request<TerminalResource>('PATCH', pathOf(terminals, namespace, name), {
      query: { fieldManager: manager },
      body: { metadata },
      contentType: 'application/merge-patch+json',
      signal,
    });
    cache.terminals.absorb(patched);
    return patched;
  }

  /**
   * Resolves when it is done.
   * @param what is done with it, for people
   * @throws what `done` throws, and StartTimeoutError after `ms`
   */
  async settled(
    name: string,
    what: string,
    signal: AbortSignal,
    done: () => boolean,
    ms = settleMs,
  ): Promise<void> {
    const late = () => notSettled(name, what);
    const options = { cache: this.#options.cache, name, ms, signal, late };
    await until(options, () => (done() ? true : undefined));
  }
}
