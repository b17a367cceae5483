/**
 * What a request brings to be recognised by.
 * @module
 */
import type { IncomingMessage } from 'node:http';
import { ForbiddenError } from '../errors.ts';
import type { Credentials } from '../identity/identity.ts';

/** A header's one value; Node joins repeated ones, and the first of a list stands for it. */
export function header(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

/**
 * The credentials of a request.
 * @param token of a WebSocket's first frame; null where there is none
 * @throws ForbiddenError where only a cookie is there and a page of another site sent it
 */
export function credentialsOf(request: IncomingMessage, token: string | null): Credentials {
  const { authorization, cookie } = request.headers;
  const userId = header(request, 'x-user-id');
  const forwardedJwt = header(request, 'x-openwebui-user-jwt');
  const bare = authorization === undefined && !token && cookie !== undefined;
  return {
    authorization,
    token,
    userId,
    forwardedJwt,
    cookieToken: bare ? cookieToken(request, cookie) : undefined,
  };
}

const tokenCookie = /(?:^|;)\s*token=([^;\s]+)/;

function cookieToken(request: IncomingMessage, cookie: string): string | undefined {
  const token = tokenCookie.exec(cookie)?.[1];
  if (token !== undefined) checkOrigin(request);
  return token;
}

/**
 * A browser sends a cookie whatever page asks it to, so the page must be of this host. Ports don't count, as they don't for
 * cookies. Every browser says the origin of a WebSocket (RFC 6455 10.2).
 */
function checkOrigin(request: IncomingMessage): void {
  const { origin, upgrade } = request.headers;
  if (origin === undefined && upgrade === undefined) return;
  const host = header(request, 'x-forwarded-host') ?? request.headers.host ?? '';
  const asked = URL.parse(`http://${host}`)?.hostname;
  if (asked !== undefined && URL.parse(origin ?? '')?.hostname === asked) return;
  throw new ForbiddenError(
    `A page of ${origin ?? 'an unknown origin'} may not use the cookie of ${host}.`,
    'Open Terminals under the host name of Open WebUI, or send the token in the Authorization header.',
  );
}
