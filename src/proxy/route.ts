/**
 * From a request to the terminal it may use: who is it, which policy, which terminal.
 * @module
 */
import { BadRequestError } from '../errors.ts';
import type { Authenticator, Credentials, Identity } from '../identity/identity.ts';
import type { PolicySet } from '../policy/policy.ts';
import { selectPolicy } from '../policy/selection.ts';
import type { ContextId, TerminalKey } from '../terminal/terminal.ts';

export interface Route {
  readonly identity: Identity;
  readonly key: TerminalKey;
}

const contextForm = /^(?:chat|automation):[^\s]{1,256}$/;

export class Router {
  readonly #authenticator: Authenticator;
  readonly #policies: { readonly current: PolicySet };

  constructor(authenticator: Authenticator, policies: { readonly current: PolicySet }) {
    this.#authenticator = authenticator;
    this.#policies = policies;
  }

  /**
   * @param policy the policy named in the path, if any
   * @param context the header X-Terminal-Context-Id
   * @throws UnauthenticatedError, UserMissingError, PolicyUnknownError, BadRequestError
   */
  async route(credentials: Credentials, policy: string | null, context: string | undefined): Promise<Route> {
    const identity = await this.#authenticator.identify(credentials);
    const selected = selectPolicy(this.#policies.current, policy);
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
