/**
 * The few questions that Open WebUI is asked: whose token is this, and which groups does a user have?
 * @module
 */
import { ForbiddenError, IdentityUnavailableError, TokenRefusedError } from '../errors.ts';
import { isMap } from '../json.ts';
import type { UserId } from '../terminal/terminal.ts';
import { isUserId } from './credentials.ts';
import { getJson, type JsonAnswer } from './get-json.ts';
import type { Group } from './identity.ts';

export interface OpenWebUiApiOptions {
  /** Where Open WebUI is; may have a path. */
  readonly url: string;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface OpenWebUiUser {
  readonly id: UserId;
  /** When its token expires, ms since the epoch; null: never. */
  readonly expiresAt: number | null;
}

const who = 'Open WebUI';
const hint =
  'Check that Open WebUI runs, and that TERMINALS_OPEN_WEBUI_URL is its address as seen from here.';
/** Roles of accounts that may use Open WebUI; one that waits for approval has another. */
const activeRoles: readonly unknown[] = ['user', 'admin'];

export class OpenWebUiApi {
  readonly #options: OpenWebUiApiOptions;
  readonly #base: string;

  constructor(options: OpenWebUiApiOptions) {
    this.#options = options;
    this.#base = options.url.replace(/\/+$/, '');
  }

  /**
   * Whose token it is.
   * @throws TokenRefusedError, ForbiddenError, IdentityUnavailableError
   */
  async userOf(token: string): Promise<OpenWebUiUser> {
    const { status, body } = await this.#get('/api/v1/auths/', token);
    if (status === 401 || status === 403) throw rejected();
    if (status !== 200 || !isMap(body) || !isUserId(body.id)) throw this.#strange('/api/v1/auths/', status);
    if (!activeRoles.includes(body.role)) {
      throw new ForbiddenError(
        'The account waits for approval in Open WebUI.',
        'Ask an administrator of Open WebUI.',
      );
    }
    const expires = body.expires_at;
    return { id: body.id, expiresAt: typeof expires === 'number' ? expires * 1_000 : null };
  }

  /**
   * The groups of the user whose token it is; null: this version does not tell.
   * @throws TokenRefusedError, IdentityUnavailableError
   */
  async ownGroups(token: string, user: UserId): Promise<readonly Group[] | null> {
    const path = '/api/v1/users/groups';
    const answer = await this.#get(`${path}?include_inherited=true`, token);
    if (answer.status === 401 || answer.status === 403) throw rejected();
    return groupsIn(answer) ?? (await this.#olderGroups(answer, path, token, user));
  }

  /**
   * The groups of any user, asked for with an administrator's key; null: this version does not tell.
   * @throws IdentityUnavailableError
   */
  async groupsOf(user: UserId, adminKey: string): Promise<readonly Group[] | null> {
    // These would make another path of it, one that answers with all groups there are.
    if (user === '.' || user === '..') return [];
    const path = `/api/v1/users/${encodeURIComponent(user)}/groups`;
    const answer = await this.#get(`${path}?include_inherited=true`, adminKey);
    if (answer.status === 401 || answer.status === 403) throw notAdministrator();
    return groupsIn(answer) ?? (await this.#olderGroups(answer, path, adminKey, user));
  }

  /** Before there was a route for a user's groups: to a user the list has their own, to an administrator everybody's. */
  async #olderGroups(
    before: JsonAnswer,
    path: string,
    token: string,
    user: UserId,
  ): Promise<readonly Group[] | null> {
    if (!isMissing(before)) throw this.#strange(path, before.status);
    const answer = await this.#get('/api/v1/groups/', token);
    const groups = groupsIn(answer);
    if (groups === null || !Array.isArray(answer.body)) throw this.#strange('/api/v1/groups/', answer.status);
    const members = answer.body.map((group: unknown) => (isMap(group) ? group.user_ids : undefined));
    if (!members.every((ids) => Array.isArray(ids))) return null;
    return groups.filter((_group, index) => members[index]?.includes(user));
  }

  #get(path: string, token: string): Promise<JsonAnswer> {
    const { timeoutMs = 5_000, signal } = this.#options;
    const headers = { authorization: `Bearer ${token}` };
    return getJson(new URL(`${this.#base}${path}`), { who, hint, headers, timeoutMs, signal });
  }

  #strange(path: string, status: number): IdentityUnavailableError {
    return new IdentityUnavailableError(
      `${this.#base}${path} does not answer as Open WebUI does (status ${status}).`,
      hint,
    );
  }
}

/** For a path it does not know, Open WebUI sends its page with status 200; for a user it does not know, 400. */
function isMissing({ status, body }: JsonAnswer): boolean {
  return status === 404 || status === 405 || status === 400 || (status === 200 && body === undefined);
}

/** Null: that is no list of groups. */
function groupsIn({ status, body }: JsonAnswer): readonly Group[] | null {
  if (status !== 200 || !Array.isArray(body)) return null;
  const groups: Group[] = [];
  for (const group of body as readonly unknown[]) {
    if (!isMap(group) || typeof group.id !== 'string' || typeof group.name !== 'string') return null;
    groups.push({ id: group.id, name: group.name });
  }
  return groups;
}

function rejected(): TokenRefusedError {
  return new TokenRefusedError(
    'rejected',
    'Open WebUI does not accept the token.',
    'Sign in to Open WebUI again; an API key must be allowed to call /api/v1/auths/ and /api/v1/users/groups there.',
  );
}

function notAdministrator(): IdentityUnavailableError {
  return new IdentityUnavailableError(
    'Open WebUI does not tell the groups of its users to TERMINALS_OPEN_WEBUI_API_KEY.',
    'It must be an API key of an administrator, and API keys must be enabled in Open WebUI.',
  );
}
