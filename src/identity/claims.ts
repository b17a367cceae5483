/**
 * Groups and ids in a token's claims, wherever an identity provider puts them and in whatever form.
 * @module
 */
import { isMap } from '../json.ts';
import type { Group } from './identity.ts';

type Claims = Readonly<Record<string, unknown>>;

export interface ClaimedGroups {
  /** Null where the token says that there are groups, but not which. */
  readonly groups: readonly Group[] | null;
  /** Why there are none, where that is not just so. */
  readonly note?: string;
}

/**
 * The claim at a place: its literal name (which may be a URL), a JSON pointer (`/resource_access/open-webui/roles`), or a
 * dotted path (`realm_access.roles`), where a name on the way may hold dots itself. Undefined: it is not there.
 */
export function claimAt(claims: Claims, place: string): unknown {
  if (Object.hasOwn(claims, place)) return claims[place];
  return place.startsWith('/') ? atPointer(claims, place) : atPath(claims, place.split('.'));
}

function atPointer(claims: Claims, pointer: string): unknown {
  let value: unknown = claims;
  for (const part of pointer.slice(1).split('/')) {
    value = member(value, part.replaceAll('~1', '/').replaceAll('~0', '~'));
  }
  return value;
}

/** Tries the longest name first at every step, so that `resource_access.my.client.roles` finds the client `my.client`. */
function atPath(value: unknown, parts: readonly string[]): unknown {
  if (parts.length === 0) return value;
  for (let length = parts.length; length > 0; length -= 1) {
    const next = member(value, parts.slice(0, length).join('.'));
    const found = next === undefined ? undefined : atPath(next, parts.slice(length));
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Own members only, so that `constructor` is no claim. */
function member(value: unknown, name: string): unknown {
  return isMap(value) && Object.hasOwn(value, name) ? value[name] : undefined;
}

/** The groups at a place of the claims. A token without the claim is one of a user without groups. */
export function claimedGroups(claims: Claims, place: string): ClaimedGroups {
  const value = claimAt(claims, place);
  if (value === undefined || value === null) {
    return isOverage(claims, place)
      ? { groups: null, note: overageNote }
      : { groups: [], note: `The token has no claim ${place}.` };
  }
  const names = namesIn(value);
  if (names === null)
    return { groups: [], note: `The claim ${place} is neither a text nor a list of texts.` };
  return { groups: names.map((name) => ({ id: null, name })) };
}

const overageNote =
  'The user is in more groups than Microsoft Entra ID puts into a token (_claim_names), so that they are unknown here. ' +
  'Have the app registration emit only "groups assigned to the application", or use app roles and the claim "roles".';

/** Entra ID leaves the groups out when they are too many, and says where to ask for them instead. */
function isOverage(claims: Claims, place: string): boolean {
  return member(claims._claim_names, place.replace(/^\//, '')) !== undefined || claims.hasgroups === true;
}

function namesIn(value: unknown): readonly string[] | null {
  const found =
    typeof value === 'string'
      ? splitText(value)
      : Array.isArray(value)
        ? value.filter((item) => typeof item === 'string')
        : null;
  if (found === null) return null;
  return [...new Set(found.map((name) => name.trim()).filter((name) => name !== ''))];
}

/** With a comma anywhere, spaces belong to the names. */
function splitText(text: string): readonly string[] {
  return text.split(text.includes(',') ? ',' : /\s+/);
}
