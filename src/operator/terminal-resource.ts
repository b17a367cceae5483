/** The Terminal resource, as the API server keeps it (schemas/terminal.crd.yaml). @module */
import type { KubeObject, OwnerReference, Resource } from '../kubernetes/objects.ts';
import type { Phase } from '../terminal/terminal.ts';
import type { TerminalSpec } from './terminal-spec.ts';

export type { TerminalSpec } from './terminal-spec.ts';

export type ConditionType = 'Ready' | 'Reconciling' | 'Stalled';

export interface Condition {
  readonly type: ConditionType;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration?: number;
  readonly lastTransitionTime: string;
}

/** Everything but `lastActivityAt` is the operator's to write; `lastResetAt` by a writer of its own. */
export interface TerminalStatus {
  readonly phase?: Phase;
  readonly podName?: string;
  readonly podIP?: string;
  readonly serviceName?: string;
  readonly serviceUrl?: string;
  readonly apiKeySecret?: string;
  /** Written by the orchestrator. */
  readonly lastActivityAt?: string;
  readonly idleSince?: string;
  /** Which reset was carried out last: the time that it was asked for. */
  readonly lastResetAt?: string;
  readonly observedGeneration?: number;
  /** What the annotation said that asked for the last look that was asked for. */
  readonly lastHandledReconcileAt?: string;
  readonly revision?: string;
  readonly message?: string;
  readonly conditions?: readonly Condition[];
}

export interface TerminalResource extends KubeObject {
  readonly spec: TerminalSpec;
  readonly status?: TerminalStatus;
}

export const terminals: Resource<TerminalResource> = {
  apiVersion: 'openwebui.com/v1alpha1',
  kind: 'Terminal',
  plural: 'terminals',
};

/** Set to a time (RFC 3339) to stop a terminal that was not used after it; its files stay and the next use starts it. */
export const stopAnnotation = 'openwebui.com/stop-requested-at';

/** The reason of phase Error where a home could not be emptied. */
export const resetFailed = 'ResetFailed';

/** The field manager of everything that the operator applies. */
export const fieldManager = 'terminals-operator';

/** What makes a child ours, and the garbage collector remove it with the Terminal. */
export function ownerReference({ metadata }: TerminalResource): OwnerReference {
  // No blockOwnerDeletion: it would need the right to change finalizers, and nothing waits for the children.
  return {
    apiVersion: terminals.apiVersion,
    kind: terminals.kind,
    name: metadata.name,
    uid: metadata.uid ?? '',
    controller: true,
  };
}
