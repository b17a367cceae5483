/**
 * What a Terminal's status says: phase, message, and the conditions that kstatus knows. Pure.
 * @module
 */
import type { Pod } from '../kubernetes/objects.ts';
import { requestOf } from '../kubernetes/reconcile-request.ts';
import { childNames, labels } from './child-names.ts';
import { serviceUrl } from './children.ts';
import type { Wanted } from './idle.ts';
import { revisionOf } from './pod.ts';
import type { PodState } from './pod-state.ts';
import type { Condition, ConditionType, TerminalResource, TerminalStatus } from './terminal-resource.ts';
import type { Trouble } from './trouble.ts';

export interface Observed {
  readonly wanted: Wanted;
  readonly pod: Pod | undefined;
  /** null: nobody wants a Pod. */
  readonly state: PodState | null;
  readonly trouble: Trouble | null;
  readonly notes: readonly string[];
}

/** What the operator writes in one: `lastActivityAt` is the orchestrator's, `lastResetAt` is never taken back. */
export type OwnStatus = Omit<TerminalStatus, 'lastActivityAt' | 'lastResetAt'>;

/** @param now for conditions that change; those that stay keep their time */
export function statusOf(terminal: TerminalResource, observed: Observed, now: Date): OwnStatus {
  const { wanted, pod, state, trouble, notes } = observed;
  const names = childNames(terminal);
  const podIP = pod?.status?.podIP;
  const request = requestOf(terminal);
  const message = [trouble?.message, state === null ? idleMessage(wanted) : state.message, ...notes]
    .filter((text) => text !== undefined && text !== '')
    .join('; ');
  return {
    phase: state === null ? 'Idle' : state.phase,
    ...(state === null ? {} : { podName: names.pod }),
    ...(podIP === undefined ? {} : { podIP }),
    serviceName: names.service,
    serviceUrl: serviceUrl(terminal),
    apiKeySecret: names.secret,
    ...(wanted.idleSince === undefined ? {} : { idleSince: wanted.idleSince }),
    observedGeneration: terminal.metadata.generation ?? 0,
    ...(request === undefined ? {} : { lastHandledReconcileAt: request }),
    revision: pod?.metadata.labels?.[labels.revision] ?? revisionOf(terminal.spec),
    message,
    conditions: conditions(terminal, observed, now),
  };
}

/** Whether the status of a Terminal is that already. */
export function isCurrent({ status }: TerminalResource, own: OwnStatus): boolean {
  const { lastActivityAt: _activity, lastResetAt: _reset, ...current } = status ?? {};
  return stable(current) === stable(own);
}

export function idleMessage({ idleSince, reason }: Wanted): string {
  const why = reason === 'StopRequested' ? 'stopped as asked for' : 'stopped';
  return `${why}, last used ${idleSince}; the next use starts it`;
}

/** Ready: it answers. Reconciling: it goes on by itself. Stalled: somebody has to do something. */
function conditions(terminal: TerminalResource, observed: Observed, now: Date): readonly Condition[] {
  const { state, trouble, wanted } = observed;
  const about = state ?? { reason: 'Idle', message: idleMessage(wanted), phase: 'Idle', progressing: false };
  const stalled = trouble ?? (about.phase === 'Error' ? about : null);
  const reconciling = about.progressing && trouble === null;
  const make = (type: ConditionType, status: boolean, reason: string, message: string): Condition => {
    const before = terminal.status?.conditions?.find((condition) => condition.type === type);
    const value = status ? 'True' : 'False';
    return {
      type,
      status: value,
      reason,
      message,
      observedGeneration: terminal.metadata.generation ?? 0,
      lastTransitionTime: before?.status === value ? before.lastTransitionTime : now.toISOString(),
    };
  };
  return [
    make('Ready', about.phase === 'Running', about.reason, about.message),
    make(
      'Reconciling',
      reconciling,
      reconciling ? about.reason : 'Settled',
      reconciling ? about.message : '',
    ),
    make('Stalled', stalled !== null, stalled?.reason ?? 'NotStalled', stalled?.message ?? ''),
  ];
}

function stable(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
