/** Whether an object is already what an apply would make of it; if so, nothing is written. @module */

import { isMap } from '../json.ts';
import type { KubeObject, OwnerReference } from '../kubernetes/objects.ts';

/**
 * Every field of `wanted` has its value in `actual`, which may have more (defaults, others' labels). Lists are compared as
 * a whole. An empty list or map is the same as none, since the API server leaves them out.
 */
export function covers(actual: unknown, wanted: unknown): boolean {
  if (wanted === undefined || isEmpty(wanted))
    return actual === undefined || actual === null || isEmptyOrMap(actual);
  if (Array.isArray(wanted)) {
    return (
      Array.isArray(actual) &&
      actual.length === wanted.length &&
      wanted.every((item, index) => covers(actual[index], item))
    );
  }
  if (isMap(wanted))
    return isMap(actual) && Object.entries(wanted).every(([name, value]) => covers(actual[name], value));
  return actual === wanted;
}

function isEmpty(value: unknown): boolean {
  return Array.isArray(value) ? value.length === 0 : isMap(value) && Object.keys(value).length === 0;
}

function isEmptyOrMap(value: unknown): boolean {
  return isMap(value) || isEmpty(value);
}

/**
 * Whether a child needs no write. Others may have added labels, annotations and owners; but a child that is not to be
 * owned (a retained home) must not be owned by its Terminal.
 */
export function isAsWanted(actual: KubeObject, wanted: KubeObject, terminal: KubeObject): boolean {
  const { labels, annotations, ownerReferences = [] } = wanted.metadata;
  const owners = actual.metadata.ownerReferences ?? [];
  const own = (reference: OwnerReference) => reference.uid === terminal.metadata.uid;
  return (
    ownerReferences.every((reference) => owners.some((other) => covers(other, reference))) &&
    (ownerReferences.length > 0 || !owners.some(own)) &&
    (labels === undefined || covers(actual.metadata.labels, labels)) &&
    (annotations === undefined || covers(actual.metadata.annotations, annotations)) &&
    (!('spec' in wanted) || covers('spec' in actual ? actual.spec : undefined, wanted.spec))
  );
}
