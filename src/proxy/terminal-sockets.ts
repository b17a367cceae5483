/**
 * WebSockets to terminals: the same routing as for requests, with the contract's close codes.
 * @module
 */
import type { IncomingMessage } from 'node:http';
import type { Logger } from 'pino';
import type { Audit } from '../audit.ts';
import {
  BadRequestError,
  NotFoundError,
  PolicyUnknownError,
  TerminalsError,
  UnauthenticatedError,
  UserMismatchError,
  UserMissingError,
} from '../errors.ts';
import type { Authenticator, Credentials } from '../identity/identity.ts';
import type { BulkGarbage } from './bulk-garbage.ts';
import { credentialsOf, header } from './credentials.ts';
import { forwardedHeaders } from './headers.ts';
import type { Route, Router } from './route.ts';
import type { SessionRecord } from './sessions.ts';
import { parseTarget, pathOnly, type Target } from './target.ts';
import type { Terminals } from './terminals.ts';
import { type Admission, Refusal, WebSocketProxy } from './websocket/websocket-proxy.ts';

export interface TerminalSocketsOptions {
  readonly authenticator: Authenticator;
  readonly router: Router;
  readonly terminals: Pick<Terminals, 'reach' | 'suspect'>;
  readonly sessions: SessionRecord;
  readonly garbage: Pick<BulkGarbage, 'passed'>;
  readonly audit: Audit;
  readonly log: Logger;
  readonly firstMessageTimeoutMs?: number;
}

const sessionsPath = '/api/terminals/';
const sessionPath = /^\/api\/terminals\/[^/]+$/;
/** Sent on to the terminal; everything else of the handshake is between the client and us. */
const passedOn = ['x-session-id', 'x-user-id', 'user-agent', 'accept-language'] as const;

/** What is known of a WebSocket by the time its outcome is logged. */
interface Trace {
  readonly began: number;
  route: Route | null;
  /** Whether it was let in or not is settled, and written by whoever settled it. */
  decided: boolean;
  terminal: string | null;
}

/** The proxy of `/api/terminals/{session}`, plain or under `/p/{policy}/`. */
export function terminalSockets(options: TerminalSocketsOptions): WebSocketProxy {
  const { authenticator, router, terminals, sessions, garbage, audit, log, ...limits } = options;
  const traces = new WeakMap<IncomingMessage, Trace>();
  /** What is wrong with the keys that handshakes brought, until a first message is there. */
  const wrongKeys = new WeakMap<IncomingMessage, unknown>();

  function refused(request: IncomingMessage, error: unknown): void {
    audit.refused(error, { user: header(request, 'x-user-id'), requestId: null });
  }

  /** A key or token in the handshake itself counts as well as one in the first message; in open mode none is needed. */
  async function refusesEarly(request: IncomingMessage): Promise<Refusal | null> {
    try {
      await authenticator.admit(credentialsOf(request, null));
      return null;
    } catch (error) {
      const { authorization, cookie } = request.headers;
      if (authorization !== undefined || cookie !== undefined) wrongKeys.set(request, error);
      return refusalOf(error);
    }
  }

  async function admit(
    request: IncomingMessage,
    token: string | null,
    signal: AbortSignal,
  ): Promise<Admission> {
    const trace: Trace = { began: performance.now(), route: null, decided: false, terminal: null };
    traces.set(request, trace);
    try {
      const target = socketTarget(request);
      const context = header(request, 'x-terminal-context-id');
      const credentials = credentialsOf(request, token);
      const route =
        (await ownRoute(sessions, target, credentials)) ??
        (await router.route(credentials, target.policy, context));
      trace.route = route;
      sameUser(target, credentials.userId, route);
      trace.decided = true;
      audit.admitted(route, null);
      const { terminal, use } = await terminals.reach(route.key, signal);
      trace.terminal = terminal.name;
      return {
        address: terminal.address,
        apiKey: terminal.apiKey,
        path: target.path,
        headers: { ...passOn(request), ...forwardedHeaders(request) },
        touch: (bytes) => {
          use.touch();
          garbage.passed(bytes);
        },
        join: () => use.join(),
        part: () => use.part(),
        unreachable: () => terminals.suspect(route.key, terminal),
      };
    } catch (error) {
      if (!trace.decided) refused(request, error);
      throw signal.aborted ? new Refusal(1006, 'the client went away') : refusalOf(error);
    }
  }

  return new WebSocketProxy({
    ...limits,
    admit,
    refusesEarly,
    outcome(request, refusal) {
      const trace = traces.get(request);
      if (trace === undefined) {
        // No first message came: the handshake is all that was ever said.
        const error = wrongKeys.get(request) ?? refusal?.cause;
        if (error instanceof TerminalsError) refused(request, error);
      }
      const line = lineOf(request, trace);
      if (refusal === null) log.info(line, 'websocket');
      else
        log.warn(
          { ...line, closeCode: refusal.closeCode, reason: refusal.message, err: refusal.cause },
          'websocket refused',
        );
    },
  });
}

function lineOf(request: IncomingMessage, trace: Trace | undefined) {
  return {
    path: pathOnly(request.url ?? ''),
    user: trace?.route?.identity.user,
    policy: trace?.route?.key.policy,
    context: trace?.route?.key.context ?? undefined,
    terminal: trace?.terminal ?? undefined,
    admittedBy: trace?.route?.identity.admittedBy,
    ms: trace && Math.round((performance.now() - trace.began) * 10) / 10,
  };
}

function socketTarget(request: IncomingMessage): Target {
  const target = parseTarget(request.url ?? '');
  if (!sessionPath.test(pathOnly(target.path)))
    throw new NotFoundError(
      'WebSockets are served at /api/terminals/{session} only.',
      'Check the URL of the connection.',
    );
  return target;
}

/** With an empty token and nothing else, the session itself says whose it is. */
async function ownRoute(
  sessions: SessionRecord,
  target: Target,
  credentials: Credentials,
): Promise<Route | null> {
  const { token, authorization, cookieToken, userId } = credentials;
  if (token !== '' || authorization !== undefined || cookieToken !== undefined) return null;
  const id = pathOnly(target.path).slice(sessionsPath.length);
  return sessions.take(id, { userId, policy: target.policy });
}

/**
 * Open WebUI names the user in the query as well. It must be the one in the header, or the one of the token: another one
 * was put there by somebody else.
 */
function sameUser({ path }: Target, userId: string | undefined, { identity }: Route): void {
  const named = new URLSearchParams(path.slice(pathOnly(path).length)).get('user_id');
  if (named !== null && named !== (userId ?? identity.user)) {
    throw new UserMismatchError(
      'user_id is not the user of the request.',
      'Send the same id as in X-User-Id, or leave it out.',
    );
  }
}

function passOn(request: IncomingMessage): Record<string, string> {
  return Object.fromEntries(
    passedOn.flatMap((name) => {
      const value = header(request, name);
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

function refusalOf(error: unknown): Refusal {
  const code =
    error instanceof UnauthenticatedError
      ? 4001
      : error instanceof UserMissingError
        ? 4002
        : error instanceof PolicyUnknownError ||
            error instanceof BadRequestError ||
            error instanceof NotFoundError
          ? 4004
          : 4003;
  const reason = error instanceof TerminalsError ? error.message : 'the terminal can not be reached';
  return new Refusal(code, reason, { cause: error });
}
