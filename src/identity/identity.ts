/**
 * Who calls: the identity that the rest of the program trusts, and the credentials it is made from.
 * @module
 */
import type { UserId } from '../terminal/terminal.ts';

/** What admitted a request; every request's log line names it. */
export type AdmittedBy = 'shared-key' | 'open' | 'open-webui' | 'oidc' | 'forwarded-jwt';

/** A group, as whoever knows the user's groups calls it. */
export interface Group {
  /** Null where only names are known, as in an access token's claim. */
  readonly id: string | null;
  readonly name: string;
}

export interface Identity {
  readonly user: UserId;
  /** The user's groups; null where nobody said, which is not the same as none. */
  readonly groups: readonly Group[] | null;
  /** Why the groups are unknown or none, in a sentence, where there is more to say than that. */
  readonly groupsNote?: string;
  readonly admittedBy: AdmittedBy;
  /** Whom the token names, where `user` was taken from X-User-Id and not from it. */
  readonly subject?: string;
}

/** What a request brings to be recognised by. */
export interface Credentials {
  /** The Authorization header. */
  readonly authorization: string | undefined;
  /** The token of a WebSocket's first frame; null where the request is no WebSocket or sent none. */
  readonly token: string | null;
  /** X-User-Id. */
  readonly userId: string | undefined;
  /** Open WebUI's cookie `token`: what a browser sends that calls without Open WebUI in between. */
  readonly cookieToken?: string | undefined;
  /** X-OpenWebUI-User-Jwt. */
  readonly forwardedJwt?: string | undefined;
}

/** Turns credentials into an identity, by whatever proof the configuration asks for. */
export interface Authenticator {
  /** @throws UnauthenticatedError without a valid proof, IdentityUnavailableError */
  admit(credentials: Credentials): AdmittedBy | Promise<AdmittedBy>;
  /** @throws UnauthenticatedError, UserMissingError, UserMismatchError, BadRequestError, ForbiddenError, IdentityUnavailableError */
  identify(credentials: Credentials): Identity | Promise<Identity>;
}

/** One way to prove who calls; `CombinedAuthenticator` asks the one that a token is meant for. */
export interface TokenMode {
  /** What to send, for who sent nothing. */
  readonly hint: string;
  /** Whether it is the one to say what is wrong with a JWT that no mode recognises. */
  readonly takesJwts: boolean;
  /** Whether the token is one of this mode's by its form; says nothing about whether it is a good one. */
  recognises(token: SentToken): boolean;
  admit(token: SentToken, credentials: Credentials): AdmittedBy | Promise<AdmittedBy>;
  identify(token: SentToken, credentials: Credentials): Identity | Promise<Identity>;
}

/** A key or token as it came, with its digest, which stands for it wherever it is kept. */
export interface SentToken {
  readonly text: string;
  /** SHA-256, base64; worked out when first asked for. */
  readonly hash: string;
  /** Where it came from. A cookie is sent by the browser on any page's behalf, so that its request's Origin must be checked. */
  readonly from: 'frame' | 'header' | 'cookie';
}
