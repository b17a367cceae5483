/**
 * Calls to the Docker engine: a time limit each, and its failures in our words.
 * @module
 */
import { EngineUnavailableError } from '../../errors.ts';
import { Docker } from './client.ts';

/** An ordinary call takes milliseconds; a busy engine may need some seconds. */
const callTimeoutMs = 30_000;

/** A signal that also aborts when one call takes too long. */
function limited(signal: AbortSignal, ms: number): AbortSignal {
  return AbortSignal.any([signal, AbortSignal.timeout(ms)]);
}

const connectionCodes = new Set([
  'ECONNREFUSED',
  'ENOENT',
  'EACCES',
  'EPERM',
  'ENOTFOUND',
  'EHOSTUNREACH',
  'ETIMEDOUT',
  'ECONNRESET',
  'EPIPE',
]);

/** A call to the engine, made with the signal that ends it. */
export type Call<T> = (abortSignal: AbortSignal) => Promise<T>;

/**
 * Makes a call that ends with the signal or after its time; a failure to reach the engine is an EngineUnavailableError,
 * all others go on as they are.
 * @throws EngineUnavailableError
 */
export async function engineCall<T>(signal: AbortSignal, call: Call<T>, ms = callTimeoutMs): Promise<T> {
  return unlimitedCall(limited(signal, ms), call);
}

/** As `engineCall`, for what lasts as long as its signal: streams, and waiting for a container's end. */
export async function unlimitedCall<T>(signal: AbortSignal, call: Call<T>): Promise<T> {
  const over = Promise.withResolvers<never>();
  const abort = () => over.reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  try {
    signal.throwIfAborted();
    // Raced, since a call whose answer breaks off in the middle never settles, whatever becomes of its signal.
    return await Promise.race([call(signal), over.promise]);
  } catch (error) {
    throw engineError(error);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

function engineError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (error.name === 'TimeoutError' || (error.name === 'AbortError' && isTimeout(error.cause))) {
    return new EngineUnavailableError(
      'The Docker engine did not answer in time.',
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

/** A failure of the engine itself, with a call that says nothing that it could refuse, as such; all others as they are. */
export function faultOf(error: unknown): unknown {
  if ((statusOf(error) ?? 0) < 500) return error;
  return new EngineUnavailableError(
    `The Docker engine failed: ${reasonOf(error)}.`,
    'Look into the log of the engine, then try again.',
    { cause: error },
  );
}

/** Work in which the engine is called: wherever in it the engine fails, that is told as `faultOf` has it. */
export async function toldAsFault<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw faultOf(error);
  }
}

/** Awaits a call for which some refusals are as good as success, e.g. 304 "already started". */
export async function accepting(call: Promise<unknown>, statuses: readonly number[]): Promise<void> {
  try {
    await call;
  } catch (error) {
    const status = statusOf(error);
    if (status === null || !statuses.includes(status)) throw error;
  }
}

/** Whether an engine answers where DOCKER_HOST (or the usual socket) says. */
export async function dockerAnswers(docker: Docker = new Docker(), timeoutMs = 1_500): Promise<boolean> {
  try {
    await unlimitedCall(AbortSignal.timeout(timeoutMs), () => docker.ping());
    return true;
  } catch {
    return false;
  }
}
