/** Whose an object is: a Terminal's own, one to be waited for, or somebody else's. @module */
import type { KubeObject } from '../kubernetes/objects.ts';
import { childLabels, labels } from './child-names.ts';
import { type TerminalResource, terminals } from './terminal-resource.ts';

/**
 * - `ours`: this Terminal controls it;
 * - `leaving`: it belongs to a deleted Terminal of the same name, the garbage collector is about to remove it;
 * - `kept`: a home without an owner that a deleted Terminal of this name and user has left (persistence.retain);
 * - `foreign`: anything else. It is left alone, whatever it holds.
 */
export type Ownership = 'ours' | 'leaving' | 'kept' | 'foreign';

export function ownershipOf(object: KubeObject, terminal: TerminalResource): Ownership {
  const owner = controllerOf(object);
  if (owner === undefined) return isKept(object, terminal) ? 'kept' : 'foreign';
  if (owner.uid === terminal.metadata.uid) return 'ours';
  const namesake = owner.kind === terminals.kind && owner.name === terminal.metadata.name;
  return namesake && owner.apiVersion.startsWith('openwebui.com/') ? 'leaving' : 'foreign';
}

/** The name of the Terminal that an object belongs to, if it does. */
export function terminalNameOf(object: KubeObject): string | undefined {
  const owner = controllerOf(object);
  if (owner !== undefined) return owner.kind === terminals.kind ? owner.name : undefined;
  return object.metadata.labels?.[labels.instance];
}

function controllerOf({ metadata }: KubeObject) {
  return metadata.ownerReferences?.find(({ controller }) => controller === true);
}

function isKept(object: KubeObject, terminal: TerminalResource): boolean {
  if (object.kind !== 'PersistentVolumeClaim' || object.metadata.ownerReferences?.length) return false;
  const expected = childLabels(terminal);
  return [labels.instance, labels.managedBy, labels.component, labels.user].every(
    (name) => object.metadata.labels?.[name] === expected[name],
  );
}
