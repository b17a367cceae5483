/** What the children of a Terminal are called and how they are found. @module */
import { createHash } from 'node:crypto';

export { containerName } from '../policy/pod-template.ts';

import type { TerminalResource } from './terminal-resource.ts';

/** The port of Open Terminal. */
export const terminalPort = 8000;
/** The key of a terminal's Secret that holds its API key. */
export const apiKeyField = 'api-key';
export const homeTarget = '/home/user';

export const labels = {
  name: 'app.kubernetes.io/name',
  instance: 'app.kubernetes.io/instance',
  partOf: 'app.kubernetes.io/part-of',
  component: 'app.kubernetes.io/component',
  managedBy: 'app.kubernetes.io/managed-by',
  user: 'openwebui.com/user-id',
  policy: 'openwebui.com/policy',
  revision: 'openwebui.com/revision',
} as const;

/** On a Pod: which key it was started with, as a hash. */
export const keyHashAnnotation = 'openwebui.com/api-key-hash';

/**
 * Of the orchestrator. On a Terminal: the revision it was declared with. On its Pod, by the Terminal's podTemplate: the one that
 * it was made from.
 */
export const revisionAnnotation = 'openwebui.com/workload-revision';

/** Finds the children in lists and watches. */
export const childSelector = `${labels.managedBy}=terminals,${labels.component}=terminal`;

export interface ChildNames {
  readonly pod: string;
  readonly service: string;
  readonly secret: string;
  readonly volumeClaim: string;
  readonly networkPolicy: string;
}

/** Always the same for a Terminal: that there is one Pod at most is then the API server's to see to. */
export function childNames({ metadata: { name } }: TerminalResource): ChildNames {
  return {
    pod: name,
    service: name,
    secret: `${name}-key`,
    volumeClaim: `${name}-home`,
    networkPolicy: name,
  };
}

/** 16 hex digits that stand for a text. */
export function shortHash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}

/** What a Service and a NetworkPolicy choose the Pod by. */
export function selectorLabels({ metadata }: TerminalResource): Readonly<Record<string, string>> {
  return {
    [labels.name]: 'open-terminal',
    [labels.instance]: metadata.name,
    [labels.managedBy]: 'terminals',
  };
}

/** Of every child. A user's id is anything, so the label holds its hash. */
export function childLabels(terminal: TerminalResource): Readonly<Record<string, string>> {
  return {
    ...selectorLabels(terminal),
    [labels.partOf]: 'open-terminal',
    [labels.component]: 'terminal',
    [labels.user]: shortHash(terminal.spec.userId),
    [labels.policy]: terminal.spec.policyId,
  };
}
