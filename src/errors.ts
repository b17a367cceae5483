/**
 * Every failure that a caller can meet: one class each, with a stable code, an HTTP status and what to do about it.
 * `proxy/problem.ts` is the one place that turns them into application/problem+json (RFC 9457).
 * @module
 */

export type ErrorCode =
  | 'bad-request'
  | 'user-missing'
  | 'unauthenticated'
  | 'forbidden'
  | 'user-mismatch'
  | 'identity-unavailable'
  | 'audit-unavailable'
  | 'policy-unknown'
  | 'not-found'
  | 'conflict'
  | 'policy-invalid'
  | 'terminal-unreachable'
  | 'engine-unavailable'
  | 'over-budget'
  | 'image-pull-failed'
  | 'start-failed'
  | 'start-timeout'
  | 'secret-missing'
  | 'terminal-paused'
  | 'upstream-timeout'
  | 'shutting-down';

export abstract class TerminalsError extends Error {
  abstract readonly code: ErrorCode;
  /** The HTTP status it is answered with. */
  abstract readonly status: number;
  /** What the reader can do, in a sentence; never holds a secret. */
  readonly hint: string;

  constructor(message: string, hint: string, options?: ErrorOptions) {
    super(message, options);
    this.hint = hint;
    this.name = new.target.name;
  }
}

/** A header, path or body that can't be understood. */
export class BadRequestError extends TerminalsError {
  readonly code = 'bad-request';
  readonly status = 400;
}

/** X-User-Id is not there. */
export class UserMissingError extends TerminalsError {
  readonly code = 'user-missing';
  readonly status = 400;
  constructor() {
    super('The request names no user.', 'Send the user id in the header X-User-Id, as Open WebUI does.');
  }
}

/** No key or token, or a wrong one. */
export class UnauthenticatedError extends TerminalsError {
  readonly code = 'unauthenticated';
  readonly status = 401;
}

/** Which of its checks a token failed; for logs and tests, where a message would be too loose. */
export type TokenRefusal =
  | 'too-large'
  | 'malformed'
  | 'type'
  | 'algorithm'
  | 'critical'
  | 'key-unknown'
  | 'signature'
  | 'expired'
  | 'not-yet-valid'
  | 'issuer'
  | 'audience'
  | 'claim'
  | 'rejected';

/** A token that proves nothing; says which check it failed, and never what it holds. */
export class TokenRefusedError extends UnauthenticatedError {
  readonly reason: TokenRefusal;
  constructor(reason: TokenRefusal, message: string, hint: string) {
    super(message, hint);
    this.reason = reason;
  }
}

/** The request names two users: by its token, X-User-Id or the query. */
export class UserMismatchError extends TerminalsError {
  readonly code = 'user-mismatch';
  readonly status = 403;
  constructor(
    message = 'X-User-Id names another user than the token.',
    hint = 'Send the id of the user whose token it is, or leave X-User-Id out.',
  ) {
    super(message, hint);
  }
}

/** Whoever could say whose token it is, or which groups a user has, does not answer. */
export class IdentityUnavailableError extends TerminalsError {
  readonly code = 'identity-unavailable';
  readonly status = 503;
}

/** That somebody is let in can't be recorded, so that nobody is. */
export class AuditUnavailableError extends TerminalsError {
  readonly code = 'audit-unavailable';
  readonly status = 503;
}

/** Known, but not allowed. */
export class ForbiddenError extends TerminalsError {
  readonly code = 'forbidden';
  readonly status = 403;
}

/** A policy's id is no longer (DNS-1123), so that no more of what was asked for is said again. */
const longestId = 63;

/** No policy of that id is in force. */
export class PolicyUnknownError extends TerminalsError {
  readonly code = 'policy-unknown';
  readonly status = 404;
  constructor(policy: string) {
    super(
      `There is no policy "${policy.slice(0, longestId)}".`,
      'Check the id in the path /p/{policy}/ of the connection, or add a policy of that name to the policies directory.',
    );
  }
}

/** No such route or thing. */
export class NotFoundError extends TerminalsError {
  readonly code = 'not-found';
  readonly status = 404;
}

/** What is there does not allow the change. */
export class ConflictError extends TerminalsError {
  readonly code = 'conflict';
  readonly status = 409;
}

/** A policy that was sent would not be valid. */
export class InvalidPolicyError extends TerminalsError {
  readonly code = 'policy-invalid';
  readonly status = 422;
}

/** The terminal is known but no connection to it can be made. */
export class TerminalUnreachableError extends TerminalsError {
  readonly code = 'terminal-unreachable';
  readonly status = 502;
}

/** Docker (or what else runs terminals) does not answer. */
export class EngineUnavailableError extends TerminalsError {
  readonly code = 'engine-unavailable';
  readonly status = 503;
}

/** The host runs as much as it may, and nothing of it is idle. */
export class OverBudgetError extends TerminalsError {
  readonly code = 'over-budget';
  readonly status = 503;
}

/** The image is not there and can't be pulled. */
export class ImagePullError extends TerminalsError {
  readonly code = 'image-pull-failed';
  readonly status = 503;
}

/** The terminal did not come to run, where its own log may say why. */
abstract class NotRunningError extends TerminalsError {
  /** The last lines it wrote, for administrators: its user gets the message alone. */
  readonly lastLines: readonly string[];

  constructor(message: string, hint: string, options: ErrorOptions & LastLines = {}) {
    super(message, hint, options);
    this.lastLines = options.lastLines ?? [];
  }
}

interface LastLines {
  readonly lastLines?: readonly string[];
}

/** The terminal ended while it started. */
export class StartFailedError extends NotRunningError {
  readonly code = 'start-failed';
  readonly status = 502;
}

/** The terminal did not become healthy in time. */
export class StartTimeoutError extends NotRunningError {
  readonly code = 'start-timeout';
  readonly status = 504;
}

/** A variable of the policy's `secretEnv` has no value here. */
export class SecretMissingError extends TerminalsError {
  readonly code = 'secret-missing';
  readonly status = 503;
}

/** The last lines that a terminal wrote which did not come to run; empty where there are none. */
export function lastLinesOf(error: unknown): readonly string[] {
  return error instanceof NotRunningError ? error.lastLines : [];
}

/** Someone paused the terminal outside of Terminals. */
export class TerminalPausedError extends TerminalsError {
  readonly code = 'terminal-paused';
  readonly status = 504;
}

/** The terminal took the request and did not answer in time. */
export class UpstreamTimeoutError extends TerminalsError {
  readonly code = 'upstream-timeout';
  readonly status = 504;
}

/** This process is about to end. */
export class ShuttingDownError extends TerminalsError {
  readonly code = 'shutting-down';
  readonly status = 503;
  constructor() {
    super('Terminals is shutting down.', 'Try again in a few seconds.');
  }
}
