/**
 * What all modes that take JWTs have in common: a look into one before it is verified, and refusals in plain words.
 * @module
 */
import type { errors, JWTPayload, JWTVerifyOptions } from 'jose';
import { IdentityUnavailableError, type TokenRefusal, TokenRefusedError } from '../errors.ts';
import { isMap } from '../json.ts';
import { checkLength } from './credentials.ts';
import { jose } from './jose.ts';

/** Clocks differ. */
export const toleranceSeconds = 60;

/** Three parts: a signed token, be it a good one or not. */
const jws = /^[\w-]+\.([\w-]+)\.[\w-]*$/;

/** The claims as they stand there, proven by nothing: only fit to tell whom the token is meant for. Null: this is no JWT. */
export function unverifiedClaims(token: string): Readonly<Record<string, unknown>> | null {
  const payload = jws.exec(token)?.[1];
  if (payload === undefined) return null;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    return isMap(claims) ? claims : null;
  } catch {
    return null;
  }
}

/** `exp` in ms since the epoch; null where there is none. */
export function expiry(claims: Readonly<Record<string, unknown>>): number | null {
  const { exp } = claims;
  return typeof exp === 'number' && Number.isFinite(exp) ? exp * 1_000 : null;
}

/**
 * The claims of a token signed with HS256 by who knows the secret.
 * @param who whose token it is, for messages
 * @throws TokenRefusedError
 */
export async function verifySharedSecret(
  token: string,
  secret: Uint8Array,
  who: string,
  options: JWTVerifyOptions = {},
): Promise<JWTPayload> {
  checkLength(token);
  try {
    const { payload, protectedHeader } = await jose().jwtVerify(token, secret, {
      algorithms: ['HS256'],
      clockTolerance: toleranceSeconds,
      requiredClaims: ['exp'],
      ...options,
    });
    checkType(protectedHeader.typ, ['jwt'], who);
    return payload;
  } catch (error) {
    throw refusalOf(error, who);
  }
}

/** @throws TokenRefusedError where the header says that the token is something else, such as a logout token */
export function checkType(typ: string | undefined, taken: readonly string[], who: string): void {
  if (typ === undefined) return;
  const type = String(typ)
    .toLowerCase()
    .replace(/^application\//, '');
  if (taken.includes(type)) return;
  throw new TokenRefusedError(
    'type',
    `${who} is of another type: ${quoted(typ)}.`,
    `Send one of type ${taken.join(' or ')}.`,
  );
}

/** Every way in which jose says no, in words for who sent the token; anything else is passed on. */
export function refusalOf(error: unknown, who: string): unknown {
  if (error instanceof TokenRefusedError || error instanceof IdentityUnavailableError) return error;
  const { errors } = jose();
  if (!(error instanceof errors.JOSEError)) {
    // jose throws a TypeError where a header or key is of the wrong shape altogether.
    return error instanceof TypeError ? refused('malformed', `${who} can't be used.`) : error;
  }
  if (error instanceof errors.JWTExpired) return refused('expired', `${who} has expired.`, 'Sign in again.');
  if (error instanceof errors.JWTClaimValidationFailed) return claimRefusal(error, who);
  const [reason, message] = joseRefusals[error.code] ?? ['malformed', 'is not a valid JWT.'];
  return refused(reason, `${who} ${message}`);
}

const joseRefusals: Readonly<Record<string, readonly [TokenRefusal, string]>> = {
  ERR_JOSE_ALG_NOT_ALLOWED: ['algorithm', 'is signed by an algorithm that is not taken.'],
  ERR_JOSE_NOT_SUPPORTED: ['critical', 'asks for something that is not supported (alg or crit).'],
  ERR_JWKS_NO_MATCHING_KEY: ['key-unknown', 'is signed with a key that its issuer does not publish.'],
  ERR_JWKS_MULTIPLE_MATCHING_KEYS: ['key-unknown', 'does not say which of several keys signed it (kid).'],
  ERR_JWS_SIGNATURE_VERIFICATION_FAILED: ['signature', 'has a wrong signature.'],
};

function claimRefusal(error: errors.JWTClaimValidationFailed, who: string): TokenRefusedError {
  const { claim, payload, reason } = error;
  if (reason === 'missing') return refused('claim', `${who} has no ${claim}.`);
  const value = quoted(payload[claim]);
  if (claim === 'iss')
    return refused(
      'issuer',
      `${who} is from another issuer: ${value}.`,
      'Compare it with the issuer that is configured, letter for letter.',
    );
  if (claim === 'aud')
    return refused(
      'audience',
      `${who} is for another audience: ${value}.`,
      'Have the identity provider put the configured audience into access tokens.',
    );
  if (claim === 'nbf')
    return refused(
      'not-yet-valid',
      `${who} is not valid yet.`,
      'Compare the clocks of this machine and of the issuer.',
    );
  return refused('claim', `${who} has an unusable ${claim}.`);
}

function refused(
  reason: TokenRefusal,
  message: string,
  hint = 'Send a token that its issuer has made for this server.',
): TokenRefusedError {
  return new TokenRefusedError(reason, message, hint);
}

/** A value of a stranger's token, fit for a message. */
function quoted(value: unknown): string {
  return (JSON.stringify(value) ?? 'none').slice(0, 120);
}
