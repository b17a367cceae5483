/**
 * X-OpenWebUI-User-Jwt: Open WebUI's own word, signed, on whose behalf it calls with the shared key.
 * @module
 */
import { TokenRefusedError, UserMismatchError } from '../errors.ts';
import { verifySharedSecret } from './jwt.ts';

export interface ForwardedJwtOptions {
  /** FORWARD_USER_INFO_HEADER_JWT_SECRET of Open WebUI. */
  readonly secret: string;
  /** Whether a request without one is refused. Where false, who has the shared key can name any user by leaving it out. */
  readonly required: boolean;
  readonly now?: () => number;
}

const who = 'X-OpenWebUI-User-Jwt';
const issuer = 'open-webui';

export class ForwardedJwt {
  readonly #options: ForwardedJwtOptions;
  readonly #secret: Uint8Array;

  constructor(options: ForwardedJwtOptions) {
    this.#options = options;
    this.#secret = new TextEncoder().encode(options.secret);
  }

  /**
   * Whether the JWT proves the user; false: there is none, and none is required.
   * @throws TokenRefusedError, UserMismatchError
   */
  async proves(user: string, jwt: string | undefined): Promise<boolean> {
    if (jwt === undefined || jwt === '') {
      if (!this.#options.required) return false;
      throw refused(`${who} is missing.`, 'Set ENABLE_FORWARD_USER_INFO_HEADERS=true in Open WebUI.');
    }
    const currentDate = new Date((this.#options.now ?? Date.now)());
    const { sub, iss } = await verifySharedSecret(jwt, this.#secret, who, { currentDate });
    if (iss !== undefined && iss !== issuer) throw refused(`${who} is not made by Open WebUI.`);
    if (sub === undefined) throw refused(`${who} names no user.`);
    if (sub !== user) throw new UserMismatchError();
    return true;
  }
}

function refused(
  message: string,
  hint = 'Compare TERMINALS_FORWARD_JWT_SECRET with Open WebUI.',
): TokenRefusedError {
  return new TokenRefusedError('claim', message, hint);
}
