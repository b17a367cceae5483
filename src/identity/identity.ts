/**
 * Who calls: the identity that the rest of the program trusts, and the credentials it is made from.
 * @module
 */
import type { UserId } from '../terminal/terminal.ts';

/** What admitted a request; every request's log line names it. */
export type AdmittedBy = 'shared-key' | 'open';

export interface Identity {
  readonly user: UserId;
  /** Names of the user's groups; null where nobody said. */
  readonly groups: readonly string[] | null;
  readonly admittedBy: AdmittedBy;
}

/** What a request brings to be recognised by. */
export interface Credentials {
  /** The Authorization header. */
  readonly authorization: string | undefined;
  /** The token of a WebSocket's first frame; null where the request is no WebSocket or sent none. */
  readonly token: string | null;
  /** X-User-Id. */
  readonly userId: string | undefined;
}

/** Turns credentials into an identity, by whatever proof the configuration asks for. */
export interface Authenticator {
  /** @throws UnauthenticatedError without a valid proof */
  admit(credentials: Credentials): AdmittedBy | Promise<AdmittedBy>;
  /** @throws UnauthenticatedError, UserMissingError, BadRequestError */
  identify(credentials: Credentials): Identity | Promise<Identity>;
}
