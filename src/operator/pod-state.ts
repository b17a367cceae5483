/**
 * What a Pod says of its terminal, in a phase, a word and a sentence. Pure.
 * @module
 */
import { masked } from '../backend/masked.ts';
import type { Pod } from '../kubernetes/objects.ts';
import type { Phase } from '../terminal/terminal.ts';
import { containerName } from './child-names.ts';

export interface PodState {
  readonly phase: Exclude<Phase, 'Idle'>;
  /** For a condition: CamelCase. */
  readonly reason: string;
  readonly message: string;
  /** It goes on by itself (Reconciling); else somebody has to change something (Stalled). */
  readonly progressing: boolean;
}

type ContainerStatus = NonNullable<NonNullable<Pod['status']>['containerStatuses']>[number];

/** Kubelet's words for "this will not work as it is". */
const failures = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
  'RegistryUnavailable',
  'CreateContainerConfigError',
  'CreateContainerError',
  'RunContainerError',
  'CrashLoopBackOff',
]);

const state = (
  phase: PodState['phase'],
  reason: string,
  message: string,
  progressing: boolean,
): PodState => ({
  phase,
  reason,
  message,
  progressing,
});

/** The state of a Pod that is wanted and not on its way out. */
export function podState(pod: Pod): PodState {
  const ready = conditionOf(pod, 'Ready');
  if (ready?.status === 'True') return state('Running', 'Running', '', false);
  const failed = failureOf(pod);
  if (failed !== null) return failed;
  const scheduled = conditionOf(pod, 'PodScheduled');
  if (scheduled?.status === 'False') {
    return state(
      'Pending',
      scheduled.reason ?? 'Unschedulable',
      scheduled.message ?? 'no node takes the Pod',
      true,
    );
  }
  if (scheduled === undefined) return state('Pending', 'Scheduling', 'the Pod waits for a node', true);
  return starting(pod);
}

/** A Pod that has ended for good: it was evicted, its node went down, or it failed. It is to be replaced. */
export function endOf({ status }: Pod): { readonly reason: string; readonly message: string } | null {
  if (status?.phase !== 'Failed' && status?.phase !== 'Succeeded') return null;
  const reason = status.reason ?? (status.phase === 'Failed' ? 'PodFailed' : 'PodEnded');
  return { reason, message: status.message ?? `the Pod has ended (${status.phase})` };
}

/** A change of CPU or memory that the node can't carry out now, or doesn't: a limit below what is in use. In a sentence. */
export function resizeTrouble(pod: Pod): string | null {
  const pending = conditionOf(pod, 'PodResizePending');
  if (pending?.status === 'True') {
    const after = pending.reason === 'Infeasible' ? 'the next start brings it' : 'it is tried again';
    return `the new CPU or memory is ${(pending.reason ?? 'pending').toLowerCase()}: ${pending.message ?? ''} (${after})`;
  }
  const begun = conditionOf(pod, 'PodResizeInProgress');
  if (begun?.status !== 'True' || begun.reason !== 'Error') return null;
  return `the new CPU or memory is not in force: ${begun.message ?? ''} (it is tried again)`;
}

function failureOf(pod: Pod): PodState | null {
  const statuses = [...(pod.status?.initContainerStatuses ?? []), ...(pod.status?.containerStatuses ?? [])];
  for (const status of statuses) {
    const failed = containerFailure(status);
    if (failed !== null) return failed;
  }
  return null;
}

function containerFailure(status: ContainerStatus): PodState | null {
  const { waiting, terminated } = status.state ?? {};
  const of = status.name === containerName ? '' : ` of container ${status.name}`;
  const last = terminated ?? status.lastState?.terminated;
  if (waiting !== undefined && failures.has(waiting.reason ?? '')) {
    const end = waiting.reason === 'CrashLoopBackOff' && last ? ` Its last end: ${endText(last)}.` : '';
    return state(
      'Error',
      waiting.reason ?? 'Waiting',
      `${waiting.message ?? waiting.reason}${of}.${end}`,
      false,
    );
  }
  // Between its end and the next start, before the kubelet calls it a crash loop.
  if (terminated !== undefined && (terminated.exitCode !== 0 || status.name === containerName)) {
    return state(
      'Error',
      wordOf(terminated.reason),
      `the container${of} ended: ${endText(terminated)}`,
      false,
    );
  }
  return null;
}

function starting(pod: Pod): PodState {
  const own = pod.status?.containerStatuses?.find(({ name }) => name === containerName);
  if (own?.state?.running === undefined)
    return state('Provisioning', 'Creating', 'the container is being created', true);
  if (own.started === true)
    return state('Provisioning', 'NotReady', 'the terminal does not answer /health', true);
  const last = own.lastState?.terminated;
  const again =
    last === undefined ? '' : `; started ${own.restartCount + 1} times, its last end: ${endText(last)}`;
  return state('Provisioning', 'Starting', `the terminal starts${again}`, true);
}

function endText(end: NonNullable<NonNullable<ContainerStatus['state']>['terminated']>): string {
  // The end of its log. Which values it has of Secrets only the kubelet knows.
  const said = end.message ? `: ${masked(end.message.trim().split('\n'), []).join('\n')}` : '';
  return `${end.reason ?? 'ended'}, exit code ${end.exitCode}${said}`;
}

/** "Error" and "Completed" say little as the reason of a condition. */
function wordOf(reason: string | undefined): string {
  return reason === undefined || reason === 'Error' || reason === 'Completed' ? 'ContainerEnded' : reason;
}

function conditionOf(pod: Pod, type: string) {
  return pod.status?.conditions?.find((condition) => condition.type === type);
}
