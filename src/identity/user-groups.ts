/**
 * Groups of the user whom a shared-key caller names: looked up in Open WebUI with an administrator's key.
 * @module
 */
import type { UserId } from '../terminal/terminal.ts';
import { CheckedCache, type CheckedCacheOptions } from './cache.ts';
import { sha256 } from './credentials.ts';
import type { Group } from './identity.ts';
import type { OpenWebUiApi } from './open-webui-api.ts';

export interface UserGroupsOptions extends CheckedCacheOptions {
  readonly api: Pick<OpenWebUiApi, 'groupsOf'>;
  readonly adminKey: string;
}

export interface FoundGroups {
  /** Null: this version of Open WebUI does not tell. */
  readonly groups: readonly Group[] | null;
}

export class UserGroups {
  readonly #options: UserGroupsOptions;
  readonly #found: CheckedCache<FoundGroups>;

  constructor(options: UserGroupsOptions) {
    this.#options = options;
    this.#found = new CheckedCache(options);
  }

  /** @throws IdentityUnavailableError */
  of(user: UserId): FoundGroups | Promise<FoundGroups> {
    const { api, adminKey } = this.#options;
    return this.#found.get(sha256(user).toString('base64'), async () => ({
      value: { groups: await api.groupsOf(user, adminKey) },
      until: null,
    }));
  }
}
