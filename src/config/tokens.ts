/**
 * Whose tokens are taken, and where groups are asked for, as the configuration says it.
 * @module
 */
import { Secret } from './auth.ts';
import type { EnvironmentReader, Setting } from './reader.ts';
import * as read from './values.ts';
import type { VariableName } from './variables.ts';

export interface OpenWebUiTokens {
  readonly url: string;
  /** Verifies its tokens here; null: Open WebUI is asked. */
  readonly secretKey: Secret | null;
  /** An administrator's key, to ask for anybody's groups; null: groups of users named by the shared key are unknown. */
  readonly apiKey: Secret | null;
}

export interface OidcTokens {
  readonly issuer: string;
  readonly audiences: readonly string[];
  readonly jwksUrl: string | null;
  /** Null: every one with a public key. */
  readonly algorithms: readonly string[] | null;
  readonly userClaim: string;
  readonly groupsClaim: string;
  readonly userIdFrom: 'claim' | 'header';
}

export interface Tokens {
  readonly openWebUi: OpenWebUiTokens | null;
  readonly oidc: OidcTokens | null;
  readonly forwardJwtSecret: Secret | null;
  readonly cacheTtlMs: number;
  readonly staleMs: number;
}

export type ReadSetting = <T>(name: VariableName, parse: (text: string) => T) => Setting<T>;

/** Reads the variables about tokens, and reports those that miss another one. */
export function readTokens(reader: EnvironmentReader, setting: ReadSetting): Tokens {
  const secret = (name: VariableName) => setting(name, parseOptionalSecret).value;
  const url = setting('TERMINALS_OPEN_WEBUI_URL', read.parseUrl);
  const secretKey = secret('TERMINALS_OPEN_WEBUI_SECRET_KEY');
  const apiKey = secret('TERMINALS_OPEN_WEBUI_API_KEY');
  const forwardJwtSecret = secret('TERMINALS_FORWARD_JWT_SECRET');
  const needsUrl = [
    ['TERMINALS_OPEN_WEBUI_SECRET_KEY', secretKey],
    ['TERMINALS_OPEN_WEBUI_API_KEY', apiKey],
  ] as const;
  for (const [variable, value] of needsUrl) {
    if (value !== null && url.value === null && !url.faulty) {
      needs(reader, variable, null, 'TERMINALS_OPEN_WEBUI_URL', 'Set it to the address of Open WebUI.');
    }
  }
  return {
    openWebUi: url.value === null ? null : { url: url.value, secretKey, apiKey },
    oidc: readOidc(reader, setting),
    forwardJwtSecret,
    cacheTtlMs: setting('TERMINALS_TOKEN_CACHE_TTL', read.parseSeconds).value * 1_000,
    staleMs: setting('TERMINALS_TOKEN_STALE_SECONDS', read.parseSeconds).value * 1_000,
  };
}

function readOidc(reader: EnvironmentReader, setting: ReadSetting): OidcTokens | null {
  const issuer = setting('TERMINALS_OIDC_ISSUER', read.parseUrl);
  const audiences = setting('TERMINALS_OIDC_AUDIENCE', read.list);
  const jwksUrl = setting('TERMINALS_OIDC_JWKS_URL', read.parseUrl);
  const algorithms = setting('TERMINALS_OIDC_ALGORITHMS', read.parseAlgorithms);
  const userClaim = setting('TERMINALS_USER_CLAIM', String).value;
  const groupsClaim = setting('TERMINALS_GROUPS_CLAIM', String).value;
  const userIdFrom = setting('TERMINALS_USER_ID_FROM', (text) =>
    read.oneOf(['claim', 'header'] as const, text),
  ).value;
  if (issuer.value === null) {
    for (const [variable, value] of [
      ['TERMINALS_OIDC_AUDIENCE', audiences.value.join(',')],
      ['TERMINALS_OIDC_JWKS_URL', jwksUrl.value ?? ''],
    ] as const) {
      if (value !== '' && !issuer.faulty)
        needs(
          reader,
          variable,
          value,
          'TERMINALS_OIDC_ISSUER',
          'Set it to the address of the identity provider.',
        );
    }
    return null;
  }
  if (audiences.value.length === 0) {
    const hint =
      'Set it to what the provider puts into aud for Open WebUI: a token for somebody else must not count here.';
    needs(reader, 'TERMINALS_OIDC_ISSUER', issuer.value, 'TERMINALS_OIDC_AUDIENCE', hint);
  }
  return {
    issuer: issuer.value,
    audiences: audiences.value,
    jwksUrl: jwksUrl.value,
    algorithms: algorithms.value,
    userClaim,
    groupsClaim,
    userIdFrom,
  };
}

/** A secret that may be left out. */
export function parseOptionalSecret(text: string): Secret | null {
  return text === '' ? null : new Secret(read.parseSecret(text));
}

function needs(
  reader: EnvironmentReader,
  variable: VariableName,
  value: string | null,
  other: VariableName,
  hint: string,
): void {
  reader.report({ variable, value, message: `it needs ${other} as well.`, hint });
}
