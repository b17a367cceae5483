/** Having homes emptied, which the operator does: asked for once, whichever orchestrators ask. @module */
import type { KubeClient } from '../../kubernetes/client.ts';
import { KubeError } from '../../kubernetes/kube-error.ts';
import {
  keepAnnotation,
  type ResetRequest,
  resetAnnotation,
  resetRequest,
} from '../../operator/reset-request.ts';
import { resetFailed, type TerminalResource, terminals } from '../../operator/terminal-resource.ts';
import { requestFailure, startFailure } from './failures.ts';
import { reasonOf } from './observe.ts';
import type { TerminalCache } from './terminal-cache.ts';
import type { TerminalWriter } from './terminal-writer.ts';

export interface TerminalResetsOptions {
  readonly client: KubeClient;
  readonly namespace: string;
  readonly cache: TerminalCache;
  readonly writer: TerminalWriter;
}

/** A home may hold millions of files. */
const resetMs = 660_000;
/** The operator may be at work on its status, each step of which is a change. */
const attempts = 20;

export class TerminalResets {
  readonly #options: TerminalResetsOptions;

  constructor(options: TerminalResetsOptions) {
    this.#options = options;
  }

  /**
   * Resolves when the home is empty. One that is being emptied already, by whomever, is only waited for.
   * @throws StartFailedError, StartTimeoutError, EngineUnavailableError
   */
  async reset(name: string, keep: readonly string[], signal: AbortSignal): Promise<void> {
    if ((await this.#request(name, keep, signal)) === null) return;
    await this.#options.writer.settled(name, 'reset', signal, () => this.#isOver(name), resetMs);
  }

  #isOver(name: string): boolean {
    const { cache } = this.#options;
    const terminal = cache.get(name)?.terminal;
    if (!terminal || !resetRequest(terminal)) return true;
    if (reasonOf(terminal) === resetFailed)
      throw startFailure(name, resetFailed, terminal.status?.message ?? '');
    return false;
  }

  /** @returns null: another has had it emptied since, or there is no such terminal and so no home */
  async #request(name: string, keep: readonly string[], signal: AbortSignal): Promise<ResetRequest | null> {
    const { client, namespace, cache, writer } = this.#options;
    const last = cache.get(name)?.terminal.status?.lastResetAt;
    for (let attempt = 1; ; attempt += 1) {
      const existing = cache.get(name)?.terminal;
      const pending = existing ? resetRequest(existing) : null;
      if (existing === undefined || pending !== null || existing.status?.lastResetAt !== last) return pending;
      try {
        return resetRequest(await writer.annotate(name, asking(existing, keep), signal));
      } catch (error) {
        const gone = error instanceof KubeError && error.status === 404;
        if (gone) return null;
        const changed = error instanceof KubeError && error.status === 409;
        if (!changed || attempt === attempts) throw requestFailure(error);
        const now = await client.get(terminals, namespace, name, signal);
        if (now !== undefined) cache.terminals.absorb(now);
      }
    }
  }
}

/** With its version, nobody has asked for it, or carried it out, since it was looked at. */
function asking({ metadata, status }: TerminalResource, keep: readonly string[]): object {
  const before = [metadata.creationTimestamp, status?.lastResetAt].map((time) => Date.parse(time ?? '') || 0);
  const at = new Date(Math.max(Date.now(), ...before.map((time) => time + 1))).toISOString();
  const annotations = {
    [resetAnnotation]: at,
    [keepAnnotation]: keep.length > 0 ? JSON.stringify(keep) : null,
  };
  const { uid, resourceVersion } = metadata;
  return { uid, resourceVersion, annotations };
}
