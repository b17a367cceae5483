/** Which orchestrator a Terminal is of, as a label: two in one namespace would fight over the same names. Pure. @module */
import { shortHash } from '../../operator/child-names.ts';
import type { TerminalResource } from '../../operator/terminal-resource.ts';

export const orchestratorLabel = 'openwebui.com/orchestrator';
const longestLabel = 63;

/** All replicas of an orchestrator have the same name, and so the same label. */
export function labelOf(orchestrator: string): string {
  return orchestrator.length > longestLabel ? shortHash(orchestrator) : orchestrator;
}

/** Whose a Terminal is, where it is another's; null: ours, or from before there was a label, so that who declares it has it. */
export function otherOwner({ metadata }: TerminalResource, orchestrator: string): string | null {
  const owner = metadata.labels?.[orchestratorLabel];
  return owner === undefined || owner === labelOf(orchestrator) ? null : owner;
}
