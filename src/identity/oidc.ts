/**
 * Access tokens of an OpenID Connect provider: what Open WebUI sends with auth type `system_oauth`.
 * @module
 */
import type { JWTPayload } from 'jose';
import { TokenRefusedError } from '../errors.ts';
import type { UserId } from '../terminal/terminal.ts';
import { asymmetricAlgorithms } from './algorithms.ts';
import { type Checked, CheckedCache } from './cache.ts';
import { type ClaimedGroups, claimAt, claimedGroups } from './claims.ts';
import { isUserId, namedUser } from './credentials.ts';
import type { AdmittedBy, Credentials, Identity, SentToken, TokenMode } from './identity.ts';
import { jose } from './jose.ts';
import { checkType, expiry, refusalOf, toleranceSeconds, unverifiedClaims } from './jwt.ts';
import { OidcKeys, type OidcKeysOptions, sameIssuer } from './oidc-keys.ts';

export interface OidcOptions extends OidcKeysOptions {
  /** At least one; a token for any of them is taken. */
  readonly audiences: readonly string[];
  readonly algorithms?: readonly string[];
  /** The claim that is the user's id. */
  readonly userClaim?: string;
  /** The claim that holds the groups; see `claimAt` for how to name one. */
  readonly groupsClaim?: string;
  /** `header`: X-User-Id is believed, which is right only where nobody but Open WebUI can call. */
  readonly userIdFrom?: 'claim' | 'header';
  /** A verified token is not looked at again for this long. */
  readonly cacheTtlMs?: number;
  readonly cacheMax?: number;
}

interface Verified extends ClaimedGroups {
  readonly user: UserId;
}

const who = 'The access token';

export class OidcMode implements TokenMode {
  readonly hint =
    'Send an access token of the identity provider; in Open WebUI, set auth type OAuth on the connection.';
  readonly takesJwts = true;
  readonly #options: OidcOptions;
  readonly #algorithms: readonly string[];
  readonly #keys: OidcKeys;
  readonly #verified: CheckedCache<Verified>;
  readonly #now: () => number;

  constructor(options: OidcOptions) {
    this.#options = options;
    this.#algorithms = options.algorithms ?? asymmetricAlgorithms;
    const wrong = this.#algorithms.filter((name) => !asymmetricAlgorithms.includes(name));
    if (wrong.length > 0) throw new RangeError(`not an algorithm with a public key: ${wrong.join(', ')}`);
    if (options.audiences.length === 0) throw new RangeError('an audience is needed');
    this.#now = options.now ?? Date.now;
    this.#keys = new OidcKeys(options);
    this.#verified = new CheckedCache({
      ttlMs: options.cacheTtlMs ?? 60_000,
      staleMs: 0,
      max: options.cacheMax ?? 10_000,
      now: this.#now,
    });
  }

  /** A token that was verified is not decoded again. */
  recognises({ hash, text }: SentToken): boolean {
    if (this.#verified.peek(hash) !== undefined) return true;
    return sameIssuer(unverifiedClaims(text)?.iss, this.#options.issuer);
  }

  async admit(token: SentToken): Promise<AdmittedBy> {
    await this.#verify(token);
    return 'oidc';
  }

  identify(token: SentToken, { userId }: Credentials): Identity | Promise<Identity> {
    const verified = this.#verify(token);
    return verified instanceof Promise
      ? verified.then((later) => this.#identity(later, userId))
      : this.#identity(verified, userId);
  }

  #identity({ user, groups, note }: Verified, userId: string | undefined): Identity {
    const { userIdFrom = 'claim' } = this.#options;
    return {
      user: userIdFrom === 'claim' ? user : namedUser(userId),
      groups,
      ...(note === undefined ? {} : { groupsNote: note }),
      admittedBy: 'oidc',
      ...(userIdFrom === 'claim' ? {} : { subject: user }),
    };
  }

  #verify({ hash, text }: SentToken): Verified | Promise<Verified> {
    return this.#verified.get(hash, () => this.#check(text));
  }

  async #check(token: string): Promise<Checked<Verified>> {
    if (unverifiedClaims(token) === null) {
      throw new TokenRefusedError(
        'malformed',
        `${who} is not a JWT.`,
        'Some providers give opaque access tokens unless an audience (or resource) is asked for; set one for Open WebUI there.',
      );
    }
    const claims = await this.#claims(token);
    const { userClaim = 'sub', groupsClaim = 'groups' } = this.#options;
    const user = claimAt(claims, userClaim);
    if (!isUserId(user)) {
      throw new TokenRefusedError(
        'claim',
        `${who} has no usable claim ${userClaim}.`,
        'Set TERMINALS_USER_CLAIM to a claim that holds an id of the user.',
      );
    }
    const exp = expiry(claims);
    const until = exp === null ? null : exp + toleranceSeconds * 1_000;
    return { value: { user, ...claimedGroups(claims, groupsClaim) }, until };
  }

  /** The header's jku, x5u and jwk are never looked at: the keys are the issuer's, wherever a token would have them from. */
  async #claims(token: string): Promise<JWTPayload> {
    const { issuer, audiences } = this.#options;
    const bare = issuer.replace(/\/$/, '');
    try {
      const { payload, protectedHeader } = await jose().jwtVerify(
        token,
        (header, jws) => this.#keys.find(header, jws),
        {
          algorithms: [...this.#algorithms],
          issuer: [bare, `${bare}/`],
          audience: [...audiences],
          clockTolerance: toleranceSeconds,
          requiredClaims: ['exp'],
          currentDate: new Date(this.#now()),
        },
      );
      checkType(protectedHeader.typ, ['at+jwt', 'jwt'], who);
      return payload;
    } catch (error) {
      throw refusalOf(error, who);
    }
  }
}
