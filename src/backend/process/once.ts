/**
 * One piece of work that many wait for: done once, joined by whoever comes meanwhile, tried again after a failure.
 * @module
 */
import type { Progress } from '../backend.ts';

interface Job<T> {
  readonly promise: Promise<T>;
  readonly waiting: Set<{ readonly progress: Progress }>;
  readonly abort: AbortController;
  said: string | null;
}

export class Once<T> {
  readonly #work: (progress: Progress, signal: AbortSignal) => Promise<T>;
  #job: Job<T> | null = null;
  #done: { readonly result: T } | null = null;

  constructor(work: (progress: Progress, signal: AbortSignal) => Promise<T>) {
    this.#work = work;
  }

  /** What came of it, once it was done. */
  get result(): T | undefined {
    return this.#done?.result;
  }

  /** Waits for the result; the work is given up when nobody waits for it any more. */
  async get(progress: Progress, signal: AbortSignal): Promise<T> {
    if (this.#done) return this.#done.result;
    signal.throwIfAborted();
    this.#job ??= this.#begin();
    const job = this.#job;
    const waiter = { progress };
    job.waiting.add(waiter);
    if (job.said !== null) progress(job.said);
    try {
      return await unlessAborted(job.promise, signal);
    } finally {
      job.waiting.delete(waiter);
      if (job.waiting.size === 0 && this.#job === job) this.cancel();
    }
  }

  /** Gives up work under way. */
  cancel(): void {
    this.#job?.abort.abort();
    this.#job = null;
  }

  #begin(): Job<T> {
    const abort = new AbortController();
    const waiting = new Set<{ readonly progress: Progress }>();
    const progress = (detail: string) => {
      job.said = detail;
      for (const one of waiting) one.progress(detail);
    };
    const promise = this.#do(progress, abort.signal);
    const job: Job<T> = { promise, waiting, abort, said: null };
    // Those who wait are told; with nobody waiting, nobody needs to know.
    promise
      .catch(() => undefined)
      .finally(() => {
        if (this.#job === job) this.#job = null;
      });
    return job;
  }

  async #do(progress: Progress, signal: AbortSignal): Promise<T> {
    // So that the job is there before its first word.
    await Promise.resolve();
    const result = await this.#work(progress, signal);
    this.#done = { result };
    return result;
  }
}

/** The promise, or a rejection with the signal's reason as soon as it aborts. */
function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(signal.reason);
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
