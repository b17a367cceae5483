/**
 * What is left of the bytes that passed, freed in time.
 *
 * They come in pieces of 64 KiB that lie outside of V8's heap. V8 frees them when it looks through its young objects, which
 * takes half a millisecond, but looks only when there are many of those; before that, 32 MiB of such pieces set off a look
 * through everything, thirty times as dear. So whoever passes bytes on asks for the cheap look, more often than that.
 * bench/README.md has what it makes of 64 MiB.
 * @module
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** Looks through the young objects. */
type Collect = (options: { readonly type: 'minor' }) => void;

const everyBytes = 8 * 1024 * 1024;

export class BulkGarbage {
  #collect: Collect | null = null;
  #bytes = 0;

  /** So many bytes more were passed on. */
  passed(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < everyBytes) return;
    this.#bytes = 0;
    this.#collect ??= collector();
    this.#collect({ type: 'minor' });
  }
}

/** Node gives it out by a flag alone, which says what globals a context made from then on has. */
function collector(): Collect {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('globalThis.gc');
  setFlagsFromString('--no-expose-gc');
  return typeof collect === 'function' ? (options) => collect(options) : () => undefined;
}
