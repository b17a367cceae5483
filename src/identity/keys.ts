/**
 * The shared keys that are good at present: several at once, so that one can be replaced while callers still use the other.
 * @module
 */
import { timingSafeEqual } from 'node:crypto';

/** Keys as they are written: separated by commas, or one a line. */
export function parseKeys(text: string): readonly string[] {
  const keys = text.split(/[\r\n,]+/).map((key) => key.trim());
  return [...new Set(keys.filter((key) => key !== ''))];
}

export class SharedKeys {
  #keys: readonly Buffer[] = [];

  constructor(keys: readonly string[]) {
    this.setKeys(keys);
  }

  /** From now on these are good, and no other. */
  setKeys(keys: readonly string[]): void {
    this.#keys = keys.map((key) => Buffer.from(key));
  }

  /** Takes the same time wherever a key differs, and for every key; only a key's length shows. */
  accepts(text: string): boolean {
    const sent = Buffer.from(text);
    let found = false;
    for (const key of this.#keys) {
      const sameLength = key.length === sent.length;
      found = (timingSafeEqual(key, sameLength ? sent : key) && sameLength) || found;
    }
    return found;
  }
}
