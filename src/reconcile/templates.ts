/** What each policy makes of its terminals, rendered once a policy. @module */
import type { Policy, PolicySpec } from '../policy/policy.ts';
import { renderTemplate } from '../terminal/desired.ts';
import type { Template } from '../terminal/terminal.ts';

export class Templates {
  readonly #platform: Readonly<Record<string, string>>;
  readonly #rendered = new WeakMap<PolicySpec, Template>();

  /** @param platform what the backend's configuration adds to every workload. */
  constructor(platform: Readonly<Record<string, string>>) {
    this.#platform = platform;
  }

  /** The same object for the same spec object. */
  of(policy: Policy): Template {
    const known = this.#rendered.get(policy.spec);
    if (known) return known;
    const template = renderTemplate(policy.spec, this.#platform);
    this.#rendered.set(policy.spec, template);
    return template;
  }
}
