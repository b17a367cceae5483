/**
 * All configured ways to prove who calls, put together: each token is asked about where it was meant for.
 * @module
 */
import { UnauthenticatedError } from '../errors.ts';
import { sentToken } from './credentials.ts';
import type { AdmittedBy, Authenticator, Credentials, Identity, SentToken, TokenMode } from './identity.ts';
import { unverifiedClaims } from './jwt.ts';

/**
 * A token goes to the first mode that recognises it, and to that one only: what one refuses, no other is asked about.
 * One that none recognises goes to the one whose refusal says best what is wrong with it.
 */
export class CombinedAuthenticator implements Authenticator {
  readonly #modes: readonly TokenMode[];
  readonly #first: TokenMode;

  /** @param modes at least one; shared keys first, since they are cheap to tell, then OIDC, then Open WebUI. */
  constructor(modes: readonly TokenMode[]) {
    const [first] = modes;
    if (first === undefined) throw new RangeError('no mode to authenticate by');
    this.#modes = modes;
    this.#first = first;
  }

  admit(credentials: Credentials): AdmittedBy | Promise<AdmittedBy> {
    const token = this.#sent(credentials);
    return this.#modeFor(token).admit(token, credentials);
  }

  identify(credentials: Credentials): Identity | Promise<Identity> {
    const token = this.#sent(credentials);
    return this.#modeFor(token).identify(token, credentials);
  }

  #sent(credentials: Credentials): SentToken {
    const token = sentToken(credentials);
    if (token !== null) return token;
    const hint = this.#modes.map((mode) => mode.hint).join(' Or: ');
    throw new UnauthenticatedError('The request brings no key.', hint);
  }

  #modeFor(token: SentToken): TokenMode {
    const known = this.#modes.find((mode) => mode.recognises(token));
    if (known !== undefined) return known;
    const isJwt = unverifiedClaims(token.text) !== null;
    return this.#modes.find((mode) => mode.takesJwts === isJwt) ?? this.#first;
  }
}
