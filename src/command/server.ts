/** A running server, asked over its admin API: the one HTTP client of commands. @module */
import { EnvironmentReader, formatProblem } from '../config/reader.ts';
import { parseKeyList } from '../config/values.ts';
import { type Io, type OptionValues, UsageError } from './command.ts';

export const serverOptions = { server: { type: 'string' } } as const;
export const serverHelp =
  '  --server URL      of a running server; its key: TERMINALS_ADMIN_KEY, else TERMINALS_API_KEY\n';

/** Longer than a reading of policies from Git takes. */
const limitMs = 60_000;

/** The server refused, or did not answer; the message is fit to be shown. */
export class ServerError extends Error {
  override readonly name = 'ServerError';
}

export class Server {
  readonly #url: URL;
  readonly #io: Io;

  /** @throws UsageError for a URL that is none */
  constructor(url: string, io: Io) {
    this.#url = baseOf(url);
    this.#io = io;
  }

  /**
   * A request below /api/v1, with the administrator's key of the environment.
   * @returns what it answered, as JSON
   * @throws ServerError, UsageError
   */
  async call(method: 'GET' | 'POST', path: string, body?: unknown): Promise<unknown> {
    const key = keyOf(this.#io);
    const url = new URL(`api/v1${path}`, this.#url);
    const signal = AbortSignal.any([this.#io.signal, AbortSignal.timeout(limitMs)]);
    try {
      const response = await fetch(url, {
        method,
        signal,
        // Another place must not be told the key.
        redirect: 'error',
        headers: {
          accept: 'application/json',
          ...(key === null ? {} : { authorization: `Bearer ${key}` }),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
      const answer = await answerOf(response);
      if (response.ok && answer !== null) return answer;
      throw new ServerError(refusalOf(response, answer, this.#url.href));
    } catch (error) {
      if (error instanceof ServerError || this.#io.signal.aborted) throw error;
      throw new ServerError(`${this.#url.href} does not answer: ${reasonOf(error)}.`);
    }
  }
}

/** The server that the call names; null: none. @throws UsageError */
export function serverOf({ server }: OptionValues, io: Io): Server | null {
  return typeof server === 'string' ? new Server(server, io) : null;
}

/** As `serverOf`, for commands that are nothing without one. @throws UsageError */
export function neededServer(values: OptionValues, io: Io): Server {
  const server = serverOf(values, io);
  if (server === null) throw new UsageError('say which server: --server URL');
  return server;
}

function baseOf(text: string): URL {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new UsageError('--server takes a URL such as http://127.0.0.1:3000');
  }
  if (url.username !== '' || url.password !== '') {
    throw new UsageError('--server takes no password; the key comes from TERMINALS_ADMIN_KEY');
  }
  [url.search, url.hash] = ['', ''];
  if (!url.pathname.endsWith('/')) url.pathname += '/';
  return url;
}

/** Null: none is set, which suffices in open mode. @throws UsageError */
function keyOf({ env, cwd }: Io): string | null {
  const reader = new EnvironmentReader(env, {}, cwd);
  for (const name of ['TERMINALS_ADMIN_KEY', 'TERMINALS_API_KEY'] as const) {
    const [first] = reader.read(name, '', parseKeyList).value;
    if (reader.problems.length > 0) throw new UsageError(reader.problems.map(formatProblem).join('\n'));
    if (first !== undefined) return first;
  }
  return null;
}

/** Null: what came is no JSON. */
async function answerOf(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** A problem (RFC 9457) says in `detail` what happened and what to do. */
function refusalOf({ status, statusText }: Response, answer: unknown, url: string): string {
  if (typeof answer === 'object' && answer !== null && 'detail' in answer) return String(answer.detail);
  if (status < 400) return `${url} is no server of Terminals: its answer is not JSON.`;
  return `${url} answered ${status} ${statusText}.`;
}

/** The innermost cause says it; fetch itself says only that it failed. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'TimeoutError') return `no answer within ${limitMs / 1000} seconds`;
  const { cause } = error;
  if (cause instanceof AggregateError) return reasonOf(cause.errors.at(0) ?? error);
  return cause instanceof Error ? reasonOf(cause) : error.message;
}
