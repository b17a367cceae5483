/**
 * Terminal sessions that an authenticated caller has just made, for the WebSocket that follows.
 *
 * With auth type `system_oauth` Open WebUI makes a session with the user's token and then opens its WebSocket with an empty
 * one. The session id, which only that caller was told, stands for the token: once, and for a short while.
 * @module
 */
import type { Route } from './route.ts';

/** By whom and where a session was asked for; the WebSocket must come the same way. */
export interface SessionOrigin {
  readonly userId: string | undefined;
  readonly policy: string | null;
}

interface Session {
  readonly route: Route;
  readonly origin: SessionOrigin;
  readonly until: number;
}

/** Where sessions are remembered; several processes share one. */
export interface SessionRecord {
  made(id: string, route: Route, origin: SessionOrigin): void;
  take(id: string, origin: SessionOrigin): Route | null | Promise<Route | null>;
}

const lifetimeMs = 60_000;
/** Far more than any terminal allows a user at once. */
const most = 10_000;

export class Sessions implements SessionRecord {
  readonly #sessions = new Map<string, Session>();
  readonly #now: () => number;

  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** A session was made for this route. */
  made(id: string, route: Route, origin: SessionOrigin): void {
    // In order of their end, since they all live equally long.
    for (const [known, { until }] of this.#sessions) {
      if (until > this.#now() && this.#sessions.size < most) break;
      this.#sessions.delete(known);
    }
    this.#sessions.set(id, { route, origin, until: this.#now() + lifetimeMs });
  }

  /** The route of a session that was made the same way and not long ago; null: there is none, or it was taken already. */
  take(id: string, origin: SessionOrigin): Route | null {
    const session = this.#sessions.get(id);
    if (session === undefined || session.until <= this.#now()) return null;
    if (session.origin.userId !== origin.userId || session.origin.policy !== origin.policy) return null;
    this.#sessions.delete(id);
    return session.route;
  }
}

/** Gathers an answer that goes by, as far as it may be one about a session, and says its id before the caller has all of it. */
export class SessionAnswer {
  readonly #made: (id: string) => void;
  readonly #chunks: Buffer[] = [];
  #size = 0;

  /** @param made told the id, once */
  constructor(made: (id: string) => void) {
    this.#made = made;
  }

  add(chunk: Buffer): void {
    this.#size += chunk.length;
    if (this.#size > largestAnswer) return;
    this.#chunks.push(chunk);
    const id = idIn(Buffer.concat(this.#chunks).toString());
    if (id === null) return;
    this.#made(id);
    this.#size = largestAnswer;
  }
}

const largestAnswer = 16 * 1024;

/** Null: it is not all there yet, or none. */
function idIn(text: string): string | null {
  if (!text.trimEnd().endsWith('}')) return null;
  try {
    const answer: unknown = JSON.parse(text);
    if (typeof answer !== 'object' || answer === null || !('id' in answer)) return null;
    return typeof answer.id === 'string' ? answer.id : null;
  } catch {
    return null;
  }
}
