/**
 * What was found out about a token or a user, for a while: bounded, asked for once however many wait for it, and good a
 * little longer while nobody can be asked.
 * @module
 */
import { LRUCache } from 'lru-cache';
import { IdentityUnavailableError } from '../errors.ts';

/** An answer, and how long it may count at most. */
export interface Checked<T> {
  readonly value: T;
  /** Ms since the epoch; null: as long as the cache keeps it. */
  readonly until: number | null;
}

export interface CheckedCacheOptions {
  /** An answer is asked for again after this. */
  readonly ttlMs: number;
  /** While nobody can be asked, it counts this much longer. */
  readonly staleMs: number;
  /** At most so many answers are kept; the ones longest unused go first. */
  readonly max: number;
  /** While nobody can be asked, the next attempt waits this long. */
  readonly retryMs?: number;
  /** Told when an answer is used longer than its time, and why. */
  readonly onStale?: (error: IdentityUnavailableError) => void;
  readonly now?: () => number;
}

export type Load<T> = () => Promise<Checked<T>>;

interface Entry<T> extends Checked<T> {
  readonly checkedAt: number;
}

const defaultRetryMs = 5_000;

/** Keys are digests, so that no token is kept. */
export class CheckedCache<T extends object> {
  readonly #entries: LRUCache<string, Entry<T>, Load<T>>;
  readonly #options: CheckedCacheOptions;
  readonly #now: () => number;

  constructor(options: CheckedCacheOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.#entries = new LRUCache<string, Entry<T>, Load<T>>({
      max: options.max,
      ttl: Math.max(1, options.ttlMs),
      perf: { now: this.#now },
      ttlResolution: 0,
      // Kept past its time, since it may be needed while nobody can be asked.
      noDeleteOnStaleGet: true,
      // Who waits for an answer gets it, even where it was pushed out meanwhile.
      ignoreFetchAbort: true,
      fetchMethod: async (_key, last, { context, options: lru }) => {
        const entry = await this.#ask(context, last);
        lru.ttl = this.#lifetime(entry);
        return entry;
      },
    });
  }

  get size(): number {
    return this.#entries.size;
  }

  /** The answer that is kept and still counts. */
  peek(key: string): T | undefined {
    const entry = this.#entries.get(key);
    return entry !== undefined && this.#counts(entry) ? entry.value : undefined;
  }

  /** The answer: at once where it is kept, else from `load`, which runs once for all who ask meanwhile. */
  get(key: string, load: Load<T>): T | Promise<T> {
    return this.peek(key) ?? this.#fetch(key, load);
  }

  async #fetch(key: string, load: Load<T>): Promise<T> {
    // Whether there is still an answer that counts was decided by `peek`, to the millisecond.
    return (await this.#entries.forceFetch(key, { context: load, forceRefresh: true })).value;
  }

  async #ask(load: Load<T>, last: Entry<T> | undefined): Promise<Entry<T>> {
    try {
      return { ...(await load()), checkedAt: this.#now() };
    } catch (error) {
      if (!(error instanceof IdentityUnavailableError) || last === undefined) throw error;
      if (this.#now() >= this.#end(last)) throw error;
      this.#options.onStale?.(error);
      return last;
    }
  }

  #counts({ until }: Entry<T>): boolean {
    return until === null || this.#now() < until;
  }

  /** When it stops to count although nobody can be asked. */
  #end({ checkedAt, until }: Entry<T>): number {
    const { ttlMs, staleMs } = this.#options;
    return Math.min(checkedAt + ttlMs + staleMs, until ?? Number.POSITIVE_INFINITY);
  }

  /** How long to use it before asking again; 0 would mean for ever to lru-cache. */
  #lifetime(entry: Entry<T>): number {
    const now = this.#now();
    const fresh = entry.checkedAt + this.#options.ttlMs;
    const next = now < fresh ? fresh : now + (this.#options.retryMs ?? defaultRetryMs);
    return Math.max(1, Math.min(next, this.#end(entry)) - now);
  }
}
