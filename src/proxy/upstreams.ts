/**
 * Connections to terminals: one small pool each, made when first used and closed when the terminal stops.
 * @module
 */
import { createRequire } from 'node:module';
import type { Pool as UndiciPool } from 'undici';
import { authorityOf } from '../terminal/address.ts';
import type { Address } from '../terminal/terminal.ts';

/** What the whole of undici adds to a pool, such as `request`, is not there. */
export type Connections = Pick<UndiciPool, 'dispatch' | 'destroy'>;

/** This part of undici alone: its fetch, caches, mocks and proxies are not used, and take twice as long to load. */
const Pool: new (origin: string, options: UndiciPool.Options) => Connections = createRequire(import.meta.url)(
  'undici/lib/dispatcher/pool.js',
);

const poolOptions = {
  pipelining: 1,
  connections: 128,
  // Below Open Terminal's own 5 s, so that a connection is never used while its server closes it.
  keepAliveTimeout: 4_000,
  keepAliveMaxTimeout: 4_000,
  connect: { timeout: 5_000 },
  // Open WebUI gives a request 300 s; a terminal that has not begun to answer by then never will for it.
  headersTimeout: 300_000,
  // A stream may be silent for long, e.g. a log that is followed.
  bodyTimeout: 0,
};

export class Upstreams {
  readonly #pools = new Map<string, Connections>();

  /** The pool of the terminal at this address. */
  pool(address: Address): Connections {
    const origin = originOf(address);
    const known = this.#pools.get(origin);
    if (known) return known;
    const pool = new Pool(origin, poolOptions);
    this.#pools.set(origin, pool);
    return pool;
  }

  /** The terminal at this address stopped; requests under way fail by themselves. */
  release(address: Address): void {
    const origin = originOf(address);
    const pool = this.#pools.get(origin);
    this.#pools.delete(origin);
    pool?.destroy().catch(() => undefined);
  }

  get size(): number {
    return this.#pools.size;
  }

  /** Ends all connections; requests under way are cut. */
  async close(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools.clear();
    await Promise.allSettled(pools.map((pool) => pool.destroy()));
  }
}

function originOf(address: Address): string {
  return `http://${authorityOf(address)}`;
}
