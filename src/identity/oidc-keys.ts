/**
 * The keys an identity provider signs with: found by discovery, kept, asked for again when a token names a new one, and
 * used on while the provider can't be reached.
 * @module
 */
import type { CryptoKey, createRemoteJWKSet, FlattenedJWSInput, JWSHeaderParameters } from 'jose';
import { IdentityUnavailableError } from '../errors.ts';
import { isMap } from '../json.ts';
import { getJson } from './get-json.ts';
import { jose } from './jose.ts';

export interface OidcKeysOptions {
  readonly issuer: string;
  /** Null: what the issuer's discovery document says. */
  readonly jwksUrl: string | null;
  /** Keys are asked for again after this, so that a withdrawn one goes. */
  readonly maxAgeMs?: number;
  /** A token with an unknown key makes them be asked for again, at most so often. */
  readonly cooldownMs?: number;
  /** After a failure the next attempt waits this long. */
  readonly retryMs?: number;
  /** Keys this old are not used any more, although the provider can't be reached. */
  readonly longestMs?: number;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Told when keys are used longer than their time, and why. */
  readonly onStale?: (error: IdentityUnavailableError) => void;
  readonly now?: () => number;
}

const minute = 60_000;
const hint =
  'Check that Terminals can reach the identity provider (TERMINALS_OIDC_ISSUER, TERMINALS_OIDC_JWKS_URL).';

export class OidcKeys {
  readonly #options: OidcKeysOptions;
  readonly #now: () => number;
  readonly #remote: ReturnType<typeof createRemoteJWKSet>;
  #readAt = Number.NEGATIVE_INFINITY;
  #failure: { readonly error: IdentityUnavailableError; readonly at: number } | null = null;

  constructor(options: OidcKeysOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    const { createRemoteJWKSet, customFetch } = jose();
    this.#remote = createRemoteJWKSet(new URL(options.jwksUrl ?? options.issuer), {
      // How old is too old is decided here: jose would refuse every token once the provider can't be reached.
      cacheMaxAge: Number.POSITIVE_INFINITY,
      cooldownDuration: options.cooldownMs ?? minute / 2,
      timeoutDuration: 2 * minute,
      // Discovery is part of asking for the keys, so that a provider may move them.
      [customFetch]: () => this.#download(),
    });
  }

  /**
   * The key that a token says it is signed with.
   * @throws IdentityUnavailableError, jose's errors
   */
  async find(header: JWSHeaderParameters, token: FlattenedJWSInput): Promise<CryptoKey> {
    await this.#refresh();
    return this.#remote(header, token);
  }

  /** Keys past their age are asked for again; nobody waits for that unless they are much older. */
  async #refresh(): Promise<void> {
    const { maxAgeMs = 10 * minute, longestMs = 24 * 60 * minute } = this.#options;
    const age = this.#now() - this.#readAt;
    if (age < maxAgeMs || age === Number.POSITIVE_INFINITY) return;
    const reload = this.#remote.reload().catch((error: unknown) => {
      if (this.#now() - this.#readAt >= longestMs) throw error;
    });
    if (age >= 2 * maxAgeMs || age >= longestMs) await reload;
    else reload.catch(() => undefined);
  }

  async #download(): Promise<Response> {
    const last = this.#failure;
    if (last !== null && this.#now() - last.at < (this.#options.retryMs ?? 5_000)) throw last.error;
    try {
      const keys = await this.#read();
      this.#failure = null;
      this.#readAt = this.#now();
      return Response.json(keys);
    } catch (error) {
      const failure = this.#unavailable(error);
      this.#failure = { error: failure, at: this.#now() };
      if (Number.isFinite(this.#readAt)) this.#options.onStale?.(failure);
      throw failure;
    }
  }

  async #read(): Promise<unknown> {
    const { jwksUrl } = this.#options;
    const url = jwksUrl === null ? await this.#discover() : new URL(jwksUrl);
    const { status, body } = await this.#get(url);
    if (status !== 200 || !isMap(body) || !Array.isArray(body.keys)) {
      throw new IdentityUnavailableError(`${url.href} answers with no key set (status ${status}).`, hint);
    }
    // Refuses a set that is none before it takes the place of the one that is.
    jose().createLocalJWKSet({ keys: body.keys });
    return body;
  }

  async #discover(): Promise<URL> {
    const { issuer } = this.#options;
    const url = new URL(`${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`);
    const { status, body } = await this.#get(url);
    if (status !== 200 || !isMap(body) || typeof body.jwks_uri !== 'string') {
      throw new IdentityUnavailableError(`${url.href} is no discovery document (status ${status}).`, hint);
    }
    if (!sameIssuer(body.issuer, issuer)) {
      throw new IdentityUnavailableError(
        `${url.href} is about another issuer: ${JSON.stringify(body.issuer)?.slice(0, 200)}.`,
        'Set TERMINALS_OIDC_ISSUER to exactly that, if it is the one you mean.',
      );
    }
    const keys = URL.canParse(body.jwks_uri) ? new URL(body.jwks_uri) : null;
    if (keys === null || (keys.protocol !== 'https:' && keys.protocol !== url.protocol)) {
      throw new IdentityUnavailableError(`The jwks_uri in ${url.href} is not an https URL.`, hint);
    }
    return keys;
  }

  #get(url: URL): ReturnType<typeof getJson> {
    const { timeoutMs = 5_000, signal } = this.#options;
    return getJson(url, { who: 'The identity provider', hint, timeoutMs, signal, maxBytes: 512 * 1024 });
  }

  #unavailable(error: unknown): IdentityUnavailableError {
    if (error instanceof IdentityUnavailableError) return error;
    return new IdentityUnavailableError("The identity provider's keys can't be used.", hint, {
      cause: error,
    });
  }
}

/** A slash at the end is often left out or put in; nothing else may differ. */
export function sameIssuer(found: unknown, issuer: string): boolean {
  return typeof found === 'string' && found.replace(/\/$/, '') === issuer.replace(/\/$/, '');
}
