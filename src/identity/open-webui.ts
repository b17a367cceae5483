/**
 * Tokens of Open WebUI itself: the user's session JWT, or their API key. Open WebUI says whose they are.
 * @module
 */
import { TokenRefusedError } from '../errors.ts';
import type { UserId } from '../terminal/terminal.ts';
import { type Checked, CheckedCache, type CheckedCacheOptions } from './cache.ts';
import { isUserId, provenUser } from './credentials.ts';
import type { AdmittedBy, Credentials, Group, Identity, SentToken, TokenMode } from './identity.ts';
import { expiry, unverifiedClaims, verifySharedSecret } from './jwt.ts';
import type { OpenWebUiApi } from './open-webui-api.ts';

export interface OpenWebUiOptions extends CheckedCacheOptions {
  readonly api: OpenWebUiApi;
  /** WEBUI_SECRET_KEY, where session tokens are to be verified here; null: Open WebUI is asked about every one. */
  readonly secret: string | null;
}

interface Known {
  readonly user: UserId;
  readonly groups: readonly Group[] | null;
}

const who = 'The token of Open WebUI';
const olderNote = 'This version of Open WebUI does not tell which of all groups are the user\u2019s.';

export class OpenWebUiMode implements TokenMode {
  readonly hint =
    'Send the token of a signed-in user of Open WebUI; in Open WebUI, set auth type Session on the connection.';
  readonly takesJwts = true;
  readonly #options: OpenWebUiOptions;
  readonly #secret: Uint8Array | null;
  readonly #known: CheckedCache<Known>;
  readonly #now: () => number;

  constructor(options: OpenWebUiOptions) {
    this.#options = options;
    this.#secret = options.secret === null ? null : new TextEncoder().encode(options.secret);
    this.#known = new CheckedCache(options);
    this.#now = options.now ?? Date.now;
  }

  recognises({ hash, text }: SentToken): boolean {
    return this.#known.peek(hash) !== undefined || hasForm(text, unverifiedClaims(text));
  }

  async admit(token: SentToken): Promise<AdmittedBy> {
    await this.#check(token);
    return 'open-webui';
  }

  identify(token: SentToken, { userId }: Credentials): Identity | Promise<Identity> {
    const known = this.#check(token);
    return known instanceof Promise
      ? known.then((later) => identity(later, userId))
      : identity(known, userId);
  }

  #check({ hash, text }: SentToken): Known | Promise<Known> {
    return this.#known.get(hash, () => this.#ask(text));
  }

  async #ask(token: string): Promise<Checked<Known>> {
    const claims = unverifiedClaims(token);
    if (!hasForm(token, claims)) {
      throw new TokenRefusedError(
        'malformed',
        `${who} is neither a session token nor an API key.`,
        this.hint,
      );
    }
    const expires = claims === null ? null : expiry(claims);
    // What it would refuse anyway costs no question.
    if (expires !== null && expires <= this.#now()) {
      throw new TokenRefusedError('expired', `${who} has expired.`, 'Sign in to Open WebUI again.');
    }
    const { user, until } = await this.#userOf(token, expires);
    return { value: { user, groups: await this.#options.api.ownGroups(token, user) }, until };
  }

  /** An API key can't be verified here, nor a token that never expires: only Open WebUI knows whether it still counts. */
  async #userOf(token: string, expires: number | null): Promise<{ user: UserId; until: number | null }> {
    if (this.#secret !== null && expires !== null) {
      return { user: await this.#verified(token, this.#secret), until: expires };
    }
    const { id, expiresAt } = await this.#options.api.userOf(token);
    const ends = [expires, expiresAt].filter((end) => end !== null);
    return { user: id, until: ends.length === 0 ? null : Math.min(...ends) };
  }

  async #verified(token: string, secret: Uint8Array): Promise<UserId> {
    const currentDate = new Date(this.#now());
    const { id } = await verifySharedSecret(token, secret, who, { currentDate, clockTolerance: 0 });
    if (isUserId(id)) return id;
    throw new TokenRefusedError('claim', `${who} names no user.`, 'Send a session token.');
  }
}

/** An API key, or a JWT that names a user and no issuer. Anything else is not worth a question, nor anyone else's secret to show. */
function hasForm(token: string, claims: Readonly<Record<string, unknown>> | null): boolean {
  return token.startsWith('sk-') || (claims !== null && claims.iss === undefined && claims.id !== undefined);
}

function identity({ user, groups }: Known, userId: string | undefined): Identity {
  return {
    user: provenUser(user, userId),
    groups,
    ...(groups === null ? { groupsNote: olderNote } : {}),
    admittedBy: 'open-webui',
  };
}
