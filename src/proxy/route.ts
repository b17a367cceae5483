/**
 * From a request to the terminal it may use: who is it, which policy, which terminal.
 * @module
 */
import { BadRequestError } from '../errors.ts';
import type { Authenticator, Credentials, Identity } from '../identity/identity.ts';
import type { PolicySet } from '../policy/policy.ts';
import { selectPolicy, type UnknownGroups } from '../policy/selection.ts';
import type { ContextId, TerminalKey } from '../terminal/terminal.ts';

export interface Route {
  readonly identity: Identity;
  readonly key: TerminalKey;
}

const contextForm = /^(?:chat|automation):[^\s]{1,256}$/;

export interface RouterOptions {
  readonly authenticator: Authenticator;
  readonly policies: { readonly current: PolicySet };
  readonly unknownGroups: UnknownGroups;
}

export class Router {
  readonly #options: RouterOptions;

  constructor(options: RouterOptions) {
    this.#options = options;
  }

  /**
   * @param policy the policy named in the path, if any
   * @param context the header X-Terminal-Context-Id
   * @throws what the authenticator throws; PolicyUnknownError, ForbiddenError, BadRequestError
   */
  async route(credentials: Credentials, policy: string | null, context: string | undefined): Promise<Route> {
    const { authenticator, policies, unknownGroups } = this.#options;
    const identity = await authenticator.identify(credentials);
    const asked = { named: policy, groups: identity.groups };
    const selected = selectPolicy(policies.current, asked, unknownGroups);
    return { identity, key: { policy: selected.id, user: identity.user, context: parseContext(context) } };
  }
}

/** `chat:<id>` or `automation:<id>`; absent, empty and `default` all stand for the default context. */
function parseContext(header: string | undefined): ContextId | null {
  const value = header?.trim() ?? '';
  if (value === '' || value === 'default') return null;
  if (!contextForm.test(value)) {
    throw new BadRequestError(
      `X-Terminal-Context-Id "${value.slice(0, 40)}" is not a context.`,
      'Send chat:<id> or automation:<id>, or leave the header out.',
    );
  }
  return value as ContextId;
}
