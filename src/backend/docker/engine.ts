/**
 * Calls to the Docker engine: a time limit each, and its failures in our words.
 * @module
 */
import Docker from 'dockerode';
import { EngineUnavailableError } from '../../errors.ts';

/** An ordinary call takes milliseconds; a busy engine may need some seconds. */
export const callTimeoutMs = 30_000;

/** A signal that also aborts when one call takes too long. */
export function limited(signal: AbortSignal, ms: number = callTimeoutMs): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(ms)]);
}

const connectionCodes = new Set(['ECONNREFUSED', 'ENOENT', 'EACCES', 'EPERM', 'ENOTFOUND', 'EHOSTUNREACH', 'ETIMEDOUT', 'ECONNRESET', 'EPIPE']);

/**
 * Awaits a call; a failure to reach the engine is an EngineUnavailableError, all others go on as they are.
 * @param limit for calls that take no signal themselves: they are left behind when it aborts
 * @throws EngineUnavailableError
 */
export async function engineCall<T>(call: Promise<T>, limit?: AbortSignal): Promise<T> {
  try {
    return await (limit ? Promise.race([call, aborted(limit)]) : call);
  } catch (error) {
    throw engineError(error);
  }
}

function engineError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (error.name === 'TimeoutError' || (error.name === 'AbortError' && isTimeout(error.cause))) {
    return new EngineUnavailableError(
      `The Docker engine did not answer within ${callTimeoutMs / 1000} seconds.`,
      'Look whether the engine is overloaded or hangs.',
      { cause: error },
    );
  }
  if (statusOf(error) !== null || !connectionCodes.has(code)) return error;
  const hint =
    code === 'EACCES' || code === 'EPERM'
      ? 'This user may not use the Docker socket: add it to the group docker, or mount the socket with the right group.'
      : 'Check that Docker runs, that its socket is mounted, and DOCKER_HOST.';
  return new EngineUnavailableError(`The Docker engine does not answer (${code}).`, hint, { cause: error });
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

function isTimeout(cause: unknown): boolean {
  return cause instanceof Error && cause.name === 'TimeoutError';
}

/** The HTTP status with which the engine refused a call, or null where it did not answer. */
export function statusOf(error: unknown): number | null {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return null;
  return typeof error.statusCode === 'number' ? error.statusCode : null;
}

/** The engine's own words about a refused call. */
export function reasonOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'json' in error) {
    const { json } = error;
    if (typeof json === 'object' && json !== null && 'message' in json) return String(json.message);
  }
  return error instanceof Error ? error.message : String(error);
}

/** Awaits a call for which some refusals are as good as success, e.g. 304 "already started". */
export async function accepting(call: Promise<unknown>, statuses: readonly number[]): Promise<void> {
  try {
    await engineCall(call);
  } catch (error) {
    const status = statusOf(error);
    if (status === null || !statuses.includes(status)) throw error;
  }
}

/** Whether an engine answers where DOCKER_HOST (or the usual socket) says. */
export async function dockerAnswers(docker: Docker = new Docker(), timeoutMs = 1_500): Promise<boolean> {
  try {
    await engineCall(docker.ping(), AbortSignal.timeout(timeoutMs));
    return true;
  } catch {
    return false;
  }
}
