/** A real OpenID Connect provider, whose clients alice and bob stand for users. */
import assert from 'node:assert/strict';
import type { RequestListener } from 'node:http';
import { exportJWK, generateKeyPair } from 'jose';
import Provider from 'oidc-provider';

export const resource = 'urn:example:terminals';

/** Each client stands for a user: its tokens carry the groups below. */
export const groupsOf: Record<string, string[]> = { alice: ['data'], bob: ['web'] };

export async function provider(issuer: string, kid: string): Promise<RequestListener> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true });
  const made = new Provider(issuer, {
    clients: ['alice', 'bob'].map((name) => ({
      client_id: name,
      client_secret: `secret-of-${name}`,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })),
    jwks: { keys: [{ ...(await exportJWK(privateKey)), kid, alg: 'RS256', use: 'sig' }] },
    extraTokenClaims: (_context: unknown, { clientId }: { clientId: string }) => ({
      realm_access: { roles: groupsOf[clientId] },
    }),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => resource,
        getResourceServerInfo: () => ({
          scope: '',
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  });
  return made.callback();
}

/** From the token endpoint, as any client gets one. */
export async function accessToken(issuer: string, user: string): Promise<string> {
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${user}:secret-of-${user}`)}` },
    body: new URLSearchParams({ grant_type: 'client_credentials', resource }),
  });
  const { access_token: token } = (await response.json()) as { access_token?: string };
  assert.ok(token, `no token: ${response.status}`);
  return token;
}
