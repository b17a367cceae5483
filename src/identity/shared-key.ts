/**
 * Shared-key and open mode: the caller is Open WebUI (or anybody, in open mode) and is trusted to name the user.
 * @module
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { BadRequestError, UnauthenticatedError, UserMissingError } from '../errors.ts';
import type { UserId } from '../terminal/terminal.ts';
import type { AdmittedBy, Authenticator, Credentials, Identity } from './identity.ts';

const bearer = /^Bearer +(.+?) *$/i;
const longestUserId = 512;

/** Everybody who has the key is admitted; without a key (open mode) everybody is. */
export class SharedKeyAuthenticator implements Authenticator {
  readonly #digest: Buffer | null;

  /** @param key the shared key; null: open mode. */
  constructor(key: string | null) {
    this.#digest = key === null ? null : digest(key);
  }

  admit({ authorization, token }: Credentials): AdmittedBy {
    if (this.#digest === null) return 'open';
    const sent = token || bearer.exec(authorization ?? '')?.[1];
    if (!sent) {
      throw new UnauthenticatedError(
        'The request brings no key.',
        'Send "Authorization: Bearer <key>" with the value of TERMINALS_API_KEY; in Open WebUI, set auth type Bearer and that key on the connection.',
      );
    }
    // Digests have one length, so that the comparison tells nothing about the key's.
    if (!timingSafeEqual(digest(sent), this.#digest)) {
      throw new UnauthenticatedError(
        'The key is not the one this server expects.',
        'Compare the key of the connection in Open WebUI with TERMINALS_API_KEY.',
      );
    }
    return 'shared-key';
  }

  identify(credentials: Credentials): Identity {
    const admittedBy = this.admit(credentials);
    return { user: namedUser(credentials.userId), groups: null, admittedBy };
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
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
