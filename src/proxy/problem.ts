/**
 * The one place where a failure becomes an answer: application/problem+json (RFC 9457).
 * @module
 */
import type { ServerResponse } from 'node:http';
import { TerminalsError } from '../errors.ts';

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly instance?: string;
}

/** A failure in words that are fit to leave this process; what is not one of ours stays in the log. */
export function problemOf(error: unknown, requestId?: string): Problem {
  const instance = requestId === undefined ? {} : { instance: `urn:terminals:request:${requestId}` };
  if (error instanceof TerminalsError) {
    return {
      type: `urn:terminals:problem:${error.code}`,
      title: error.code.replaceAll('-', ' '),
      status: error.status,
      detail: `${error.message} ${error.hint}`.trim(),
      ...instance,
    };
  }
  const status = clientStatus(error);
  return {
    type: `urn:terminals:problem:${status === 500 ? 'internal' : 'bad-request'}`,
    title: status === 500 ? 'internal error' : 'bad request',
    status,
    detail:
      status === 500 || !(error instanceof Error)
        ? 'Something went wrong here; the log line of this request says what.'
        : error.message,
    ...instance,
  };
}

/** Fastify marks a malformed request by a 4xx statusCode on its error. */
function clientStatus(error: unknown): number {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return 500;
  const { statusCode } = error;
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500 ? statusCode : 500;
}

/** Answers with a problem; where an answer had begun already, the connection is cut instead, so that nobody takes it for whole. */
export function sendProblem(response: ServerResponse, problem: Problem): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const body = JSON.stringify(problem);
  response.writeHead(problem.status, {
    'content-type': 'application/problem+json',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...(problem.status === 401 ? { 'www-authenticate': 'Bearer realm="terminals"' } : {}),
    ...(problem.status === 503 ? { 'retry-after': '5' } : {}),
  });
  response.end(body);
}
