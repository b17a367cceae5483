/**
 * Baked images: for each workload with packages one image that has them, so that a start installs nothing.
 * @module
 */
import type Docker from 'dockerode';
import type { Logger } from 'pino';
import { EngineUnavailableError, ShuttingDownError } from '../../errors.ts';
import type { Workload } from '../../terminal/terminal.ts';
import type { Progress } from '../backend.ts';
import { BakeFailedError, bake } from './bake.ts';
import { type Belongings, collectBaked } from './collect.ts';
import { engineCall, reasonOf, statusOf } from './engine.ts';
import type { Images } from './images.ts';
import type { Networks } from './network.ts';
import { bakedLabels, installs, orderOf, type Recipe, recipeOf } from './recipe.ts';

export interface BakingOptions {
  readonly docker: Docker;
  readonly images: Images;
  readonly networks: Networks;
  readonly log: Logger;
  /** How long an image stays that nothing uses: who takes a change back has it still. */
  readonly keepUnusedMs?: number;
  /** After a bake that failed, it is not tried again for so long. */
  readonly retryMs?: number;
}

/** A bake under way, for all who want its image. */
interface Bake {
  /** Whether the image is there now. Rejects where the engine does not answer, and at shutdown. */
  readonly done: Promise<boolean>;
  readonly listeners: Set<Progress>;
}

interface Failure {
  readonly reason: string;
  readonly retryAt: number;
}

/** What to do where an earlier bake failed and its time has come again: wait for the new try, or go without meanwhile. */
export type Patience = 'wait' | 'go';

export class Baking {
  readonly #options: BakingOptions;
  readonly #docker: Docker;
  readonly #log: Logger;
  /** Hashes of the recipes whose images are there. */
  readonly #baked = new Set<string>();
  readonly #bakes = new Map<string, Bake>();
  readonly #failures = new Map<string, Failure>();
  /** The recipe last made of each order, by hash. */
  readonly #recipes = new Map<string, string>();
  readonly #unusedSince = new Map<string, number>();
  readonly #stopping = new AbortController();

  constructor(options: BakingOptions) {
    this.#options = options;
    this.#docker = options.docker;
    this.#log = options.log;
  }

  /**
   * The image with the workload's packages, baked if it is not there yet; null: there is none, and the start installs.
   * Who asks while it is baked waits: a start that installs would do the same work beside it, take as long, and leave its
   * packages in the home, where they would hide those of every later image.
   * @throws ImagePullError, EngineUnavailableError
   */
  async image(
    workload: Workload,
    progress: Progress,
    signal: AbortSignal,
    patience: Patience,
  ): Promise<string | null> {
    if (!installs(workload)) return null;
    const base = await this.#options.images.inspect(workload.image, progress, signal);
    const recipe = recipeOf(workload, base);
    this.#recipes.set(orderOf(workload), recipe.hash);
    if (await this.#isBaked(recipe, signal)) return recipe.tag;
    const failure = this.#failures.get(recipe.hash);
    const underWay = this.#bakes.has(recipe.hash);
    if (failure && !underWay && Date.now() < failure.retryAt) return null;
    const baking = this.#bakeOnce(recipe);
    if (failure && patience === 'go') return null;
    return (await this.#join(baking, progress, signal)) ? recipe.tag : null;
  }

  /** The engine said that an image is not there, whatever was known. */
  forget(workload: Workload): void {
    const hash = this.#recipes.get(orderOf(workload));
    if (hash !== undefined) this.#baked.delete(hash);
  }

  /** Why a workload's packages are not in an image, where that was tried; null: nothing is wrong. */
  trouble(workload: Workload): string | null {
    const hash = installs(workload) ? this.#recipes.get(orderOf(workload)) : undefined;
    return (hash !== undefined && this.#failures.get(hash)?.reason) || null;
  }

  /** Removes what a crash left behind, and images that these workloads do not need and no container is made from. */
  async collect(workloads: readonly Workload[], signal: AbortSignal): Promise<void> {
    const needed = await this.#belongings(workloads.filter(installs), signal);
    const { keepUnusedMs = 10 * 60_000 } = this.#options;
    const unusedSince = this.#unusedSince;
    const removed = await collectBaked(this.#docker, needed, { unusedSince, keepUnusedMs }, signal);
    for (const tag of removed) {
      this.#baked.delete(tag.slice(tag.indexOf(':') + 1));
      this.#log.info({ image: tag }, 'removed an image with packages that no policy needs any more');
    }
    for (const hash of this.#failures.keys()) if (!needed.hashes.has(hash)) this.#failures.delete(hash);
  }

  async #belongings(workloads: readonly Workload[], signal: AbortSignal): Promise<Belongings> {
    const hashes = new Set<string>(this.#bakes.keys());
    const images = new Set<string>();
    for (const workload of workloads) {
      const base = await this.#options.images.find(workload.image, signal);
      // Which image it will be is not known before that is back: all that were made of it stay.
      if (base === null) images.add(workload.image);
      else hashes.add(recipeOf(workload, base).hash);
    }
    return { hashes, images, baking: new Set(this.#bakes.keys()) };
  }

  /** Ends the bakes under way, and waits until nothing is left of them. */
  async close(): Promise<void> {
    this.#stopping.abort(new ShuttingDownError());
    await Promise.allSettled([...this.#bakes.values()].map(({ done }) => done));
  }

  async #isBaked({ hash, tag }: Recipe, signal: AbortSignal): Promise<boolean> {
    if (this.#baked.has(hash)) return true;
    try {
      const { Config: config } = await engineCall(signal, () => this.#docker.getImage(tag).inspect());
      if (config.Labels?.[bakedLabels.hash] === hash) this.#baked.add(hash);
    } catch (error) {
      if (statusOf(error) !== 404) throw error;
    }
    return this.#baked.has(hash);
  }

  #bakeOnce(recipe: Recipe): Bake {
    const known = this.#bakes.get(recipe.hash);
    if (known) return known;
    const listeners = new Set<Progress>();
    const done = this.#bake(recipe, listeners).finally(() => this.#bakes.delete(recipe.hash));
    // Nobody may be waiting for it.
    done.catch(() => undefined);
    const started = { done, listeners };
    this.#bakes.set(recipe.hash, started);
    return started;
  }

  async #bake(recipe: Recipe, listeners: ReadonlySet<Progress>): Promise<boolean> {
    const { hash, tag: image, image: from } = recipe;
    const { signal } = this.#stopping;
    const began = performance.now();
    const tell = (detail: string) => {
      for (const listener of listeners) listener(detail);
    };
    try {
      const network = await this.#options.networks.of(image, signal);
      await bake(this.#docker, recipe, network, tell, signal);
      this.#baked.add(hash);
      this.#failures.delete(hash);
      const ms = Math.round(performance.now() - began);
      this.#log.info({ image, from, ms }, 'packages are in an image now: starts install nothing');
      return true;
    } catch (error) {
      if (signal.aborted || error instanceof EngineUnavailableError) throw error;
      const reason = error instanceof BakeFailedError ? error.message : reasonOf(error);
      const { retryMs = 4 * 60_000 } = this.#options;
      this.#failures.set(hash, { reason, retryAt: Date.now() + retryMs });
      const { packages, pipPackages } = recipe;
      this.#log.warn(
        { from, packages, pipPackages, reason },
        'packages could not be put into an image: every start installs them',
      );
      return false;
    }
  }

  /** Waits for a bake as long as the signal lets; the bake goes on for the others. */
  async #join({ done, listeners }: Bake, progress: Progress, signal: AbortSignal): Promise<boolean> {
    const over = Promise.withResolvers<never>();
    const abort = () => over.reject(signal.reason);
    // Told apart from the others', also where the same function is handed in twice.
    const listener: Progress = (detail) => progress(detail);
    listeners.add(listener);
    signal.addEventListener('abort', abort, { once: true });
    try {
      signal.throwIfAborted();
      return await Promise.race([done, over.promise]);
    } finally {
      listeners.delete(listener);
      signal.removeEventListener('abort', abort);
    }
  }
}
