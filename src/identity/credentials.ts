/**
 * What a request was sent with: its key or token, and the user it names.
 * @module
 */
import { hash } from 'node:crypto';
import { BadRequestError, TokenRefusedError, UserMismatchError, UserMissingError } from '../errors.ts';
import type { UserId } from '../terminal/terminal.ts';
import type { Credentials, SentToken } from './identity.ts';

const bearer = /^Bearer +/i;
const longestUserId = 512;
/** More than any identity provider makes; refused before anything looks into it. */
export const longestToken = 16 * 1024;

/**
 * The key or token: of the first frame, else the Authorization header, else the cookie.
 * @throws TokenRefusedError for one that is too long to be one
 */
export function sentToken({ authorization, token, cookieToken }: Credentials): SentToken | null {
  if (token) return digested(token, 'frame');
  const header = bearerOf(authorization ?? '');
  if (header !== '') return digested(header, 'header');
  return cookieToken ? digested(cookieToken, 'cookie') : null;
}

/** Empty: there is none. */
function bearerOf(authorization: string): string {
  const scheme = bearer.exec(authorization)?.[0];
  return scheme === undefined ? '' : authorization.slice(scheme.length).trimEnd();
}

function digested(text: string, from: SentToken['from']): SentToken {
  checkLength(text);
  return new Digested(text, from);
}

/** The hash costs more than all the rest of admitting a request by a key, and only tokens need it. */
class Digested implements SentToken {
  readonly text: string;
  readonly from: SentToken['from'];
  #hash: string | null = null;

  constructor(text: string, from: SentToken['from']) {
    this.text = text;
    this.from = from;
  }

  get hash(): string {
    this.#hash ??= sha256(this.text).toString('base64');
    return this.#hash;
  }
}

/** @throws TokenRefusedError */
export function checkLength(token: string): void {
  if (token.length <= longestToken) return;
  throw new TokenRefusedError(
    'too-large',
    `The token has ${token.length} characters; at most ${longestToken} are taken.`,
    'Have the identity provider put less into it: fewer groups, above all.',
  );
}

export function sha256(text: string): Buffer {
  return hash('sha256', text, 'buffer');
}

/**
 * The user named by X-User-Id.
 * @throws UserMissingError, BadRequestError for an id that no user has
 */
export function namedUser(userId: string | undefined): UserId {
  if (userId === undefined || userId.trim() === '') throw new UserMissingError();
  if (userId.length > longestUserId) {
    throw new BadRequestError(
      `X-User-Id has ${userId.length} characters.`,
      `At most ${longestUserId} are taken.`,
    );
  }
  return userId as UserId;
}

/**
 * The user whom a token proves; X-User-Id may be left out, but not name another.
 * @throws UserMismatchError
 */
export function provenUser(proven: UserId, userId: string | undefined): UserId {
  if (userId !== undefined && userId.trim() !== '' && userId !== proven) throw new UserMismatchError();
  return proven;
}

/** Whether a claim or an answer's field can be a user's id. */
export function isUserId(value: unknown): value is UserId {
  return (
    typeof value === 'string' &&
    value.trim() !== '' &&
    value.length <= longestUserId &&
    // A lone surrogate has no bytes of its own: two such ids would be one in a name or a label.
    value.isWellFormed() &&
    !/\p{Cc}/u.test(value)
  );
}
