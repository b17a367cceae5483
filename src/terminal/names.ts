/**
 * Names that are safe anywhere (container, host name, folder) and never shared by two terminals.
 *
 * A readable name is kept where it can be read back in one way only; everything else carries a hash.
 * @module
 */
import { createHash } from 'node:crypto';
import type { PolicyId, TerminalKey, TerminalName, UserId } from './terminal.ts';

const plainSegment = /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$/;
const hashSuffix = /-[0-9a-f]{16}$/;
const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const endsLikeUuid = /-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

function shortHash(...parts: readonly (string | null)[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
}

/** At most 24 readable characters of an arbitrary id: only what a file and host name may hold. */
function readable(text: string): string {
  const ascii = text.toLowerCase().replace(/[^a-z0-9]+/g, '-');
  return ascii.slice(0, 24).replace(/^-+|-+$/g, '') || 'x';
}

/**
 * One path segment for an arbitrary id. Plain ids (lower case letters, digits, `-`, `_`, at most 63) stay as they are;
 * others become `readable-hash`. Two ids never share a segment, also on a case-insensitive file system:
 * a plain id that looks like a hashed one is hashed itself.
 */
export function safeSegment(id: string): string {
  if (plainSegment.test(id) && !hashSuffix.test(id)) return id;
  return `${readable(id)}-${shortHash(id)}`;
}

/**
 * `terminals-{policy}-{user}`, or with a hash where that text could be read as another pair, holds other characters,
 * or would pass 63 characters (the limit of a DNS label, so that the name is a host name too).
 */
export function terminalName(key: TerminalKey): TerminalName {
  const user = String(key.user);
  // Other names hold no `_`, so that none of them is ever a warm one's.
  if (isNobody(key.user)) {
    return `terminals-warm_${key.policy.slice(0, 24)}_${user.slice(nobodyPrefix.length)}` as TerminalName;
  }
  const plain = `terminals-${key.policy}-${user}`;
  // `-` may occur in both parts: the pair can be read back only if the user part has none, or is a whole UUID.
  const oneReading = user.includes('-') ? uuid.test(user) : !endsLikeUuid.test(plain);
  const keep =
    key.context === null &&
    oneReading &&
    !user.includes('_') &&
    plainSegment.test(user) &&
    !hashSuffix.test(plain) &&
    plain.length <= 63;
  if (keep) return plain as TerminalName;
  const start = `terminals-${key.policy.slice(0, 20)}-${readable(user).slice(0, 15)}`.replace(/-+$/, '');
  return `${start}-${shortHash(key.policy, user, key.context)}` as TerminalName;
}

/** The folder of a terminal's home below the data directory: `[policy, user]` or `[policy, user.context]`. */
export function homeSegments(key: TerminalKey): readonly [string, string] {
  const user = safeSegment(key.user);
  // A dot can't occur in a segment, so a context's home never meets a user's.
  return [key.policy, key.context === null ? user : `${user}.${shortHash(key.context)}`];
}

/**
 * The user of the short-lived terminals that answer discovery. A header value can't hold a line feed (RFC 9110 5.5),
 * so that no caller can name this user.
 */
export const discoveryUser = '\ndiscovery' as UserId;

const nobodyPrefix = '\nwarm-';
const warmName = /^terminals-warm_[a-z0-9-]{1,24}_[0-9a-f]{16}$/;

/** The user of a terminal that is started and nobody's yet; no caller can name it either. @param id 16 hex digits, never used before */
export function nobody(id: string): UserId {
  return `${nobodyPrefix}${id}` as UserId;
}

/** Whether a terminal of this user is nobody's. */
export function isNobody(user: UserId): boolean {
  return user.startsWith(nobodyPrefix);
}

/** Whether a terminal that bears this name is nobody's. */
export function isWarmName(name: string): boolean {
  return warmName.test(name);
}

/** Whose terminal of a policy this name is, where that can be read from it (see `terminalName`); null: it can't. */
export function keyOfName(name: string, policy: PolicyId): TerminalKey | null {
  const start = `terminals-${policy}-`;
  if (!name.startsWith(start)) return null;
  const key = { policy, user: name.slice(start.length) as UserId, context: null };
  return terminalName(key) === name ? key : null;
}
