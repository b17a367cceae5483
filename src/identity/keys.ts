/**
 * The shared keys that are good at present: several at once, so that one can be replaced while callers still use the other.
 * @module
 */
import { timingSafeEqual } from 'node:crypto';
import { sha256 } from './credentials.ts';

/** Keys as they are written: separated by commas, or one a line. */
export function parseKeys(text: string): readonly string[] {
  const keys = text.split(/[\r\n,]+/).map((key) => key.trim());
  return [...new Set(keys.filter((key) => key !== ''))];
}

export class SharedKeys {
  #digests: readonly Buffer[] = [];

  constructor(keys: readonly string[]) {
    this.setKeys(keys);
  }

  /** From now on these are good, and no other. */
  setKeys(keys: readonly string[]): void {
    this.#digests = keys.map(sha256);
  }

  /** Takes the same time for every key, wherever it differs: digests have one length, and all are compared. */
  accepts(digest: Buffer): boolean {
    let found = false;
    for (const known of this.#digests) found = timingSafeEqual(known, digest) || found;
    return found;
  }
}
