/** `jose`, loaded when the first token comes or the first provider is configured: it is a twentieth of a start. @module */
import { createRequire } from 'node:module';
import type * as Jose from 'jose';

const require = createRequire(import.meta.url);

/** The library, the same each time. */
export function jose(): typeof Jose {
  return require('jose');
}
