/**
 * GET of a small JSON document from someone this server asks about identities: in bounded time and size.
 * @module
 */
import { IdentityUnavailableError } from '../errors.ts';

export interface GetJsonOptions {
  /** Who is asked, for messages: "Open WebUI". */
  readonly who: string;
  /** What to look at when it does not answer. */
  readonly hint: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  readonly maxBytes?: number;
  /** Ends the request, when the program ends. */
  readonly signal?: AbortSignal | undefined;
}

export interface JsonAnswer {
  readonly status: number;
  /** Undefined where the answer was not JSON: a page, for instance. */
  readonly body: unknown;
}

const defaultTimeoutMs = 5_000;
const defaultMaxBytes = 1024 * 1024;

/**
 * Any status but a redirect and a server's failure is an answer; what it means is for the caller to say.
 * @throws IdentityUnavailableError
 */
export async function getJson(url: URL, options: GetJsonOptions): Promise<JsonAnswer> {
  const { headers = {}, timeoutMs = defaultTimeoutMs, signal } = options;
  const timeout = AbortSignal.timeout(timeoutMs);
  try {
    const response = await fetch(url, {
      headers: { accept: 'application/json', ...headers },
      // A token goes to the configured address and to no other.
      redirect: 'manual',
      signal: signal === undefined ? timeout : AbortSignal.any([timeout, signal]),
    });
    return { status: response.status, body: parsed(await readAnswer(response, url, options)) };
  } catch (error) {
    if (error instanceof IdentityUnavailableError) throw error;
    const reason = timeout.aborted ? `no answer within ${timeoutMs} ms` : reasonOf(error);
    throw unavailable(url, options, `can't be asked: ${reason}.`, error);
  }
}

async function readAnswer(response: Response, url: URL, options: GetJsonOptions): Promise<string> {
  const { status } = response;
  const refused =
    status >= 300 && status < 400 ? 'a redirect' : status >= 500 || status === 429 ? status : null;
  if (refused !== null) {
    await response.body?.cancel();
    throw unavailable(url, options, `answers with ${refused}.`);
  }
  const { maxBytes = defaultMaxBytes } = options;
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength;
    // Leaving the loop cancels the rest.
    if (size > maxBytes) throw unavailable(url, options, `answers with more than ${maxBytes} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The URL is shown without its query, which may name a user. */
function unavailable(
  url: URL,
  { who, hint }: GetJsonOptions,
  what: string,
  cause?: unknown,
): IdentityUnavailableError {
  const place = `${url.origin}${url.pathname}`;
  return new IdentityUnavailableError(
    `${who} at ${place} ${what}`,
    hint,
    cause === undefined ? {} : { cause },
  );
}

/** fetch says only "fetch failed"; why is in its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  return cause instanceof Error && cause.message !== '' ? cause.message : error.message;
}
