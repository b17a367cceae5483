/** Signature algorithms of access tokens (RFC 7518 3.1, RFC 8037). @module */

/** Signed with a private key. With a shared secret, whoever can verify could also sign. */
export const asymmetricAlgorithms: readonly string[] = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'Ed25519', 'EdDSA'],
];
