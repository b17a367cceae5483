/** What the API server or the operator says → the errors that callers meet. @module */
import {
  EngineUnavailableError,
  ImagePullError,
  StartFailedError,
  StartTimeoutError,
  type TerminalsError,
} from '../../errors.ts';
import { isRefusal, KubeError } from '../../kubernetes/kube-error.ts';
import { orchestratorLabel } from './orchestrator-label.ts';

const imageReasons = new Set([
  'ErrImagePull',
  'ImagePullBackOff',
  'InvalidImageName',
  'ErrImageNeverPull',
  'ImageInspectError',
  'RegistryUnavailable',
]);

/** The operator says that it can't start: phase Error. */
export function startFailure(name: string, reason: string, message: string): TerminalsError {
  const text = `The terminal can't start: ${reason}${message === '' ? '' : `: ${message}`}`;
  if (imageReasons.has(reason)) {
    return new ImagePullError(text, "Check the policy's image, and that the nodes may pull it.");
  }
  return new StartFailedError(text, `"kubectl describe terminal ${name}" says more.`);
}

/** It starts for too long; what it waits for is the operator's word. */
export function startTimeout(name: string, ms: number, detail: string): StartTimeoutError {
  return new StartTimeoutError(
    `The terminal is not ready after ${Math.round(ms / 1000)} seconds: ${detail}.`,
    `It goes on starting; try again in a while. "kubectl describe terminal ${name}" says more.`,
  );
}

/** Nobody carries out what was declared. */
export function notSettled(name: string, what: string): EngineUnavailableError {
  return new EngineUnavailableError(
    `The terminal ${name} was to be ${what}, and is not yet.`,
    'Check that the operator runs: its log says what it does.',
  );
}

/** Another orchestrator declared it: two would undo each other's doing. */
export function othersTerminal(name: string, owner: string): EngineUnavailableError {
  return new EngineUnavailableError(
    `The Terminal ${name} belongs to another orchestrator, "${owner}".`,
    `Give each a namespace of its own (terminalsNamespace of the chart); "kubectl label terminal ${name} ${orchestratorLabel}-" hands it over.`,
  );
}

/** Why a list may be shorter than expected. */
export function othersUnlisted(owners: readonly string[]): string {
  const whose = owners.join(', ');
  return `there are Terminals of other orchestrators in this namespace, which are left out: ${whose}; set TERMINALS_KUBERNETES_LEASE to see them`;
}

/** A request to the API server failed. */
export function requestFailure(error: unknown): unknown {
  if (isRefusal(error) && error.status !== 403) {
    return new StartFailedError(
      `The cluster refuses the terminal: ${error.message}`,
      "Mend the policy, or the terminals' settings in the configuration.",
      { cause: error },
    );
  }
  if (error instanceof KubeError) {
    const hint =
      error.status === 404
        ? 'Install the Terminal resource definition and make the namespace; the Helm chart does the first.'
        : 'Check that it is up, and what the account of Terminals may do there.';
    return new EngineUnavailableError(`The Kubernetes API server says: ${error.message}`, hint, {
      cause: error,
    });
  }
  if (error instanceof Error && !('hint' in error) && error.name !== 'AbortError') {
    return new EngineUnavailableError(
      `The Kubernetes API server does not answer: ${error.message}.`,
      'Check that it is up and can be reached from here.',
      { cause: error },
    );
  }
  return error;
}
