/**
 * A failure on its way from one process to another: what arrives is of the same class, so that it is answered the same way.
 * @module
 */
import * as errors from '../errors.ts';

/** An error in plain data. */
export interface Failure {
  /** null: it is none of ours. */
  readonly code: errors.ErrorCode | null;
  readonly message: string;
  readonly hint: string;
  readonly stack: string | undefined;
  readonly cause: Failure | null;
}

/** Some say the same whatever happened, and take no words; those of `error.message` are put in either way. */
const made: Readonly<
  Record<errors.ErrorCode, (message: string, hint: string, options: ErrorOptions) => errors.TerminalsError>
> = {
  'bad-request': (...words) => new errors.BadRequestError(...words),
  'user-missing': () => new errors.UserMissingError(),
  unauthenticated: (...words) => new errors.UnauthenticatedError(...words),
  forbidden: (...words) => new errors.ForbiddenError(...words),
  'user-mismatch': (message, hint) => new errors.UserMismatchError(message, hint),
  'identity-unavailable': (...words) => new errors.IdentityUnavailableError(...words),
  'audit-unavailable': (...words) => new errors.AuditUnavailableError(...words),
  'policy-unknown': () => new errors.PolicyUnknownError(''),
  'not-found': (...words) => new errors.NotFoundError(...words),
  conflict: (...words) => new errors.ConflictError(...words),
  'policy-invalid': (...words) => new errors.InvalidPolicyError(...words),
  'terminal-unreachable': (...words) => new errors.TerminalUnreachableError(...words),
  'engine-unavailable': (...words) => new errors.EngineUnavailableError(...words),
  'over-budget': (...words) => new errors.OverBudgetError(...words),
  'image-pull-failed': (...words) => new errors.ImagePullError(...words),
  'start-failed': (...words) => new errors.StartFailedError(...words),
  'start-timeout': (...words) => new errors.StartTimeoutError(...words),
  'secret-missing': (...words) => new errors.SecretMissingError(...words),
  'terminal-paused': (...words) => new errors.TerminalPausedError(...words),
  'upstream-timeout': (...words) => new errors.UpstreamTimeoutError(...words),
  'shutting-down': () => new errors.ShuttingDownError(),
};

/** What was thrown, as data. */
export function failureOf(thrown: unknown): Failure {
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const ours = error instanceof errors.TerminalsError ? error : null;
  return {
    code: ours?.code ?? null,
    message: error.message,
    hint: ours?.hint ?? '',
    stack: error.stack,
    cause: error.cause instanceof Error ? failureOf(error.cause) : null,
  };
}

/** The error again, with the stack of where it was thrown. */
export function errorOf({ code, message, hint, stack, cause }: Failure): Error {
  const options = cause === null ? {} : { cause: errorOf(cause) };
  const error = code === null ? new Error(message, options) : made[code](message, hint, options);
  error.message = message;
  if (stack !== undefined) error.stack = stack;
  return error;
}
