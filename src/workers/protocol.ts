/**
 * What the primary and its workers say to each other.
 *
 * The primary runs the terminals; a worker serves requests. A **lease** is a worker's right to send requests to one run of a
 * terminal without asking: granted when it first asks, over when that run is over, recalled before a terminal is taken down,
 * so that what the primary decides comes from all that was done with it. A recalled lease ends no connection.
 * @module
 */
import type { MetricsSnapshot } from '../admin/metrics.ts';
import type { PolicySet } from '../policy/policy.ts';
import type { Route } from '../proxy/route.ts';
import type { SessionOrigin } from '../proxy/sessions.ts';
import type { RunningTerminal, TerminalKey } from '../terminal/terminal.ts';
import type { Call } from './channel.ts';
import type { Failure } from './failure.ts';

/** A lease, and what it is for. */
export interface Grant {
  readonly lease: number;
  readonly key: TerminalKey;
  readonly terminal: RunningTerminal;
}

/** A terminal was used since it was told last. */
export interface Use {
  readonly lease: number;
  /** HTTP requests of this worker that are under way. */
  readonly inFlight: number;
  /** WebSockets of this worker that are joined with it. */
  readonly sockets: number;
}

/** A session that was made by a request of one worker, for the WebSocket that may reach another. */
export interface MadeSession {
  readonly id: string;
  readonly route: Route;
  readonly origin: SessionOrigin;
}

/** Where a worker listens, and where the primary does. */
export interface Place {
  readonly port: number;
  /** Its Unix socket. */
  readonly primary: string;
}

/** What a worker says to the primary. */
export interface ToPrimary {
  /** Answered when the policies have been told. */
  begin: Call<null, Place>;
  /** It listens. */
  listening: Call<null>;
  /** It can't. */
  failed: Call<Failure>;
  /** Answered when the terminal runs; the lease has been told before, and may be over again. */
  reach: Call<TerminalKey>;
  throwIfPaused: Call<TerminalKey>;
  suspect: Call<number>;
  used: Call<readonly Use[]>;
  sessionMade: Call<MadeSession>;
  takeSession: Call<Omit<MadeSession, 'route'>, Route | null>;
}

/** What the primary says to a worker. */
export interface ToWorker {
  policies: Call<PolicySet>;
  granted: Call<Grant>;
  gone: Call<number>;
  /** Answered when the use of it has been told; from there on it is asked for anew. */
  recall: Call<number>;
  /** Answered when all that was said before has been heeded, and all use has been told. */
  keepUp: Call<null>;
  metrics: Call<null, MetricsSnapshot>;
  /** Take no more requests, let those under way end, then end. */
  drain: Call<null>;
}
