/**
 * Who may use the admin API: whoever has an admin key, or a user whose token proves the admin group.
 * @module
 */
import type { IncomingMessage } from 'node:http';
import { ForbiddenError, UnauthenticatedError } from '../errors.ts';
import { sentToken } from '../identity/credentials.ts';
import type { AdmittedBy, Authenticator, Credentials, Group } from '../identity/identity.ts';
import type { SharedKeys } from '../identity/keys.ts';
import { credentialsOf } from '../proxy/credentials.ts';
import type { UserId } from '../terminal/terminal.ts';

/** An administrator, for the log: the holder of a key is nobody in particular. */
export interface Admin {
  readonly admittedBy: 'admin-key' | AdmittedBy;
  readonly user: UserId | null;
}

export interface AdminAccessOptions {
  /** The admin keys, or the shared keys where there are none. */
  readonly keys: Pick<SharedKeys, 'accepts'>;
  /** Everybody is an administrator. */
  readonly open: boolean;
  /** By name or id; null: no user is an administrator. */
  readonly group: string | null;
  readonly authenticator: Authenticator;
  /** Whether Open WebUI may have no key to send: it sends its users' tokens, or nothing. */
  readonly keyless: boolean;
}

/** What proves who a user is, rather than that somebody may speak for users. */
const proofs: ReadonlySet<AdmittedBy> = new Set<AdmittedBy>(['oidc', 'open-webui']);

export class AdminAccess {
  readonly #options: AdminAccessOptions;

  constructor(options: AdminAccessOptions) {
    this.#options = options;
  }

  /** @throws UnauthenticatedError, ForbiddenError, UserMismatchError, IdentityUnavailableError */
  async admit(request: IncomingMessage): Promise<Admin> {
    if (this.#options.open) return { admittedBy: 'open', user: null };
    const credentials = credentialsOf(request, null);
    if (this.#hasKey(credentials)) return { admittedBy: 'admin-key', user: null };
    const admittedBy = await this.#admittedBy(credentials);
    const admin = proofs.has(admittedBy) ? await this.#inGroup(credentials) : null;
    if (admin !== null) return admin;
    throw new ForbiddenError(
      'This is for administrators.',
      this.#options.group === null
        ? 'Send "Authorization: Bearer <key>" with the value of TERMINALS_ADMIN_KEY, or set TERMINALS_ADMIN_GROUP.'
        : 'Send an admin key, or the token of a member of TERMINALS_ADMIN_GROUP.',
    );
  }

  /**
   * Like `admit`, for the one question by which Open WebUI recognises what it talks to.
   * @returns null for who is no administrator, but may know that this is Terminals
   */
  async recognise(request: IncomingMessage): Promise<Admin | null> {
    if (!this.#options.open) {
      const credentials = credentialsOf(request, null);
      if (sentToken(credentials) === null && this.#options.keyless) return null;
      if (!this.#hasKey(credentials) && (await this.#admittedBy(credentials)) === 'shared-key') return null;
    }
    return this.admit(request);
  }

  /** Only as a bearer: a cookie is sent by the browser, whoever asks it to. */
  #hasKey(credentials: Credentials): boolean {
    const token = sentToken(credentials);
    return token !== null && token.from === 'header' && this.#options.keys.accepts(token.text);
  }

  async #admittedBy(credentials: Credentials): Promise<AdmittedBy> {
    const admittedBy = await this.#options.authenticator.admit(credentials);
    if (admittedBy !== 'open') return admittedBy;
    throw new UnauthenticatedError(
      'The request brings no admin key.',
      'Send "Authorization: Bearer <key>" with the value of TERMINALS_ADMIN_KEY.',
    );
  }

  async #inGroup(credentials: Credentials): Promise<Admin | null> {
    const { group, authenticator } = this.#options;
    if (group === null) return null;
    const { user, groups, admittedBy } = await authenticator.identify(credentials);
    const member = (groups ?? []).some(({ id, name }: Group) => name === group || id === group);
    return member && proofs.has(admittedBy) ? { admittedBy, user } : null;
  }
}
