/** When terminals may be replaced, worked out once a second for all terminals of a policy. @module */
import { windowOpensAt } from '../policy/schedule.ts';
import type { Window } from '../terminal/terminal.ts';

/** Far shorter than any window, and long enough for ten thousand terminals to share one answer. */
const goodForMs = 1_000;

export class Windows {
  readonly #known = new WeakMap<Window, { readonly asked: number; readonly opensAt: number | null }>();

  /** When the window is open the next time: now, while it is open; null where it never opens again. */
  opensAt(window: Window, now: number): number | null {
    const known = this.#known.get(window);
    if (known !== undefined && now - known.asked < goodForMs) return known.opensAt;
    const opensAt = windowOpensAt(window, now);
    this.#known.set(window, { asked: now, opensAt });
    return opensAt;
  }
}
