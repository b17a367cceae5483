/**
 * Shared keys: the caller is Open WebUI and is trusted to name the user, unless it is to prove that by a signed header.
 * @module
 */
import { UnauthenticatedError } from '../errors.ts';
import { namedUser } from './credentials.ts';
import type { ForwardedJwt } from './forwarded-jwt.ts';
import type { AdmittedBy, Authenticator, Credentials, Identity, SentToken, TokenMode } from './identity.ts';
import type { SharedKeys } from './keys.ts';
import type { UserGroups } from './user-groups.ts';

export interface SharedKeyOptions {
  readonly keys: Pick<SharedKeys, 'accepts'>;
  /** Checks X-OpenWebUI-User-Jwt; null: the header is not looked at. */
  readonly forwardedJwt: Pick<ForwardedJwt, 'proves'> | null;
  /** Null: the groups of the named user are unknown. */
  readonly groups: Pick<UserGroups, 'of'> | null;
}

/** Everybody who has one of the keys is admitted. */
export class SharedKeyMode implements TokenMode {
  readonly hint =
    'Send "Authorization: Bearer <key>" with the value of TERMINALS_API_KEY; in Open WebUI, set auth type Bearer and that key on the connection.';
  readonly takesJwts = false;
  readonly #options: SharedKeyOptions;

  constructor(options: SharedKeyOptions) {
    this.#options = options;
  }

  recognises({ text }: SentToken): boolean {
    return this.#options.keys.accepts(text);
  }

  admit(token: SentToken): AdmittedBy {
    if (this.recognises(token)) return 'shared-key';
    throw new UnauthenticatedError(
      'The key is not the one this server expects.',
      'Compare the key of the connection in Open WebUI with TERMINALS_API_KEY.',
    );
  }

  identify(token: SentToken, credentials: Credentials): Identity | Promise<Identity> {
    const admittedBy = this.admit(token);
    const user = namedUser(credentials.userId);
    const { forwardedJwt, groups } = this.#options;
    if (forwardedJwt === null && groups === null) return { user, groups: null, admittedBy };
    return this.#proven({ user, groups: null, admittedBy }, credentials.forwardedJwt);
  }

  async #proven(named: Identity, jwt: string | undefined): Promise<Identity> {
    const { forwardedJwt, groups } = this.#options;
    const proven = (await forwardedJwt?.proves(named.user, jwt)) ?? false;
    const found = await groups?.of(named.user);
    return {
      ...named,
      groups: found?.groups ?? null,
      ...(proven ? { admittedBy: 'forwarded-jwt' } : {}),
    };
  }
}

/** Open mode: everybody is let in, and believed. */
export class OpenAuthenticator implements Authenticator {
  admit(): AdmittedBy {
    return 'open';
  }

  identify({ userId }: Credentials): Identity {
    return { user: namedUser(userId), groups: null, admittedBy: 'open' };
  }
}
