/**
 * Asking for an object to be looked at now, as Flux has it: an annotation with another value than before.
 * @module
 */
import type { KubeObject } from './objects.ts';

export const requestAnnotation = 'reconcile.terminals.openwebui.com/requestedAt';

/** What was asked with, usually a time; undefined: nobody ever asked. */
export function requestOf(object: Pick<KubeObject, 'metadata'> | undefined): string | undefined {
  return object?.metadata.annotations?.[requestAnnotation];
}
