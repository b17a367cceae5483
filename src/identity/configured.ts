/**
 * The authenticator that the configuration asks for.
 * @module
 */
import type { Logger } from 'pino';
import type { Auth, Secret, Tokens } from '../config.ts';
import { CombinedAuthenticator } from './combined.ts';
import { ForwardedJwt } from './forwarded-jwt.ts';
import type { Authenticator, TokenMode } from './identity.ts';
import { watchKeyFile } from './key-file.ts';
import { SharedKeys } from './keys.ts';
import { OidcMode } from './oidc.ts';
import { OpenWebUiMode } from './open-webui.ts';
import { OpenWebUiApi } from './open-webui-api.ts';
import { OpenAuthenticator, SharedKeyMode } from './shared-key.ts';
import { UserGroups } from './user-groups.ts';

export interface ConfiguredOptions {
  readonly tokens: Tokens;
  readonly log: Logger;
  /** Ends the watch over the key file, and calls under way. */
  readonly signal: AbortSignal;
}

/** Users and tokens remembered at most. */
const cacheMax = 10_000;

/** What it takes to follow a key file. */
export type Following = Pick<ConfiguredOptions, 'log' | 'signal'>;

/** The shared keys of the configuration, which follow their file. */
export function configuredKeys(auth: Auth, options: Following): SharedKeys {
  return auth.mode === 'open' ? new SharedKeys([]) : followedKeys(auth.keys, auth.keyFile, options);
}

/** Keys as they were at the start, and then as their file has them. @param file null: they were in none */
export function followedKeys(
  atStart: readonly Secret[],
  file: string | null,
  { log, signal }: Following,
): SharedKeys {
  const keys = new SharedKeys(atStart.map((key) => key.reveal()));
  if (file !== null) watchKeyFile({ file, changed: (now) => keys.setKeys(now), log, signal });
  return keys;
}

/** Every way of proof that is configured, together. */
export function configuredAuthenticator(
  auth: Auth,
  keys: SharedKeys,
  options: ConfiguredOptions,
): Authenticator {
  if (auth.mode === 'open') return new OpenAuthenticator();
  const { tokens, log, signal } = options;
  const onStale = (error: Error) =>
    log.warn({ err: error }, 'what was known of a user is used longer than its time');
  const cache = { ttlMs: tokens.cacheTtlMs, staleMs: tokens.staleMs, max: cacheMax, onStale };
  const api = tokens.openWebUi && new OpenWebUiApi({ url: tokens.openWebUi.url, signal });
  const modes: TokenMode[] = [];
  if (auth.keys.length > 0) {
    const adminKey = tokens.openWebUi?.apiKey?.reveal();
    const secret = tokens.forwardJwtSecret?.reveal();
    modes.push(
      new SharedKeyMode({
        keys,
        forwardedJwt: secret === undefined ? null : new ForwardedJwt({ secret, required: false }),
        groups: api === null || adminKey === undefined ? null : new UserGroups({ ...cache, api, adminKey }),
      }),
    );
  }
  if (tokens.oidc !== null) modes.push(oidcMode(tokens.oidc, tokens.cacheTtlMs, options));
  if (api !== null) {
    modes.push(new OpenWebUiMode({ ...cache, api, secret: tokens.openWebUi?.secretKey?.reveal() ?? null }));
  }
  return new CombinedAuthenticator(modes);
}

function oidcMode(
  oidc: NonNullable<Tokens['oidc']>,
  cacheTtlMs: number,
  { log, signal }: ConfiguredOptions,
): OidcMode {
  const { algorithms, ...rest } = oidc;
  return new OidcMode({
    ...rest,
    ...(algorithms === null ? {} : { algorithms }),
    cacheTtlMs,
    cacheMax,
    signal,
    onStale: (error) => log.warn({ err: error }, "the identity provider's last keys are used"),
  });
}
