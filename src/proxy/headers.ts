/**
 * What a proxy passes on and what it keeps to itself (RFC 9110 7.6.1).
 * @module
 */
import type { IncomingMessage } from 'node:http';

const hopByHop = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
]);

/** Of a request, what is not for the terminal: hop-by-hop headers, our own key, who vouched for the user, and what is made anew for the next hop. */
const withheld = new Set([
  ...hopByHop,
  'authorization',
  'content-length',
  'cookie',
  'expect',
  'host',
  'http2-settings',
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-proto',
  'x-openwebui-user-jwt',
]);

/** The names that a Connection header adds to the hop-by-hop ones, in lower case; null: none. */
function listed(connection: string | undefined): readonly string[] | null {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return null;
  return connection
    .toLowerCase()
    .split(',')
    .map((name) => name.trim());
}

/**
 * The headers of the request to the terminal as name, value, name, value…: the caller's, without hop-by-hop headers and
 * credentials, with the terminal's own key and `X-Forwarded-*`.
 */
export function requestHeaders(request: IncomingMessage, apiKey: string): string[] {
  const { rawHeaders, headers } = request;
  const dropped = listed(headers.connection);
  const result = ['authorization', `Bearer ${apiKey}`];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    const lower = name.toLowerCase();
    if (withheld.has(lower) || dropped?.includes(lower)) continue;
    result.push(name, rawHeaders[index + 1] ?? '');
  }
  // With a body, its length goes on so that the terminal can refuse early and a broken upload is noticed.
  if (headers['content-length'] !== undefined && headers['transfer-encoding'] === undefined) {
    result.push('content-length', headers['content-length']);
  }
  const { chain, proto, host } = forwardedBy(request);
  result.push('x-forwarded-for', chain, 'x-forwarded-proto', proto);
  if (host !== undefined) result.push('x-forwarded-host', host);
  return result;
}

/** `X-Forwarded-For`, `-Host` and `-Proto`, continued from what the caller's own proxy said. */
export function forwardedHeaders(request: IncomingMessage): Record<string, string> {
  const { chain, proto, host } = forwardedBy(request);
  return {
    'x-forwarded-for': chain,
    'x-forwarded-proto': proto,
    ...(host === undefined ? {} : { 'x-forwarded-host': host }),
  };
}

function forwardedBy({ headers, socket }: IncomingMessage) {
  const before = headers['x-forwarded-for'];
  const peer = socket.remoteAddress ?? 'unknown';
  const chain =
    before === undefined ? peer : `${Array.isArray(before) ? before.join(', ') : before}, ${peer}`;
  const host = first(headers['x-forwarded-host']) ?? headers.host;
  return { chain, proto: first(headers['x-forwarded-proto']) ?? 'http', host };
}

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

/** The terminal's response headers for the caller, as name, value, name, value…, without hop-by-hop ones. */
export function responseHeaders(raw: readonly (Buffer | string)[]): string[] {
  const result: string[] = [];
  let dropped: string[] | null = null;
  for (let index = 0; index < raw.length; index += 2) {
    const name = textOf(raw[index]);
    const lower = name.toLowerCase();
    if (!hopByHop.has(lower)) result.push(name, textOf(raw[index + 1]));
    else if (lower === 'connection') {
      const names = listed(textOf(raw[index + 1]));
      if (names !== null) dropped = [...(dropped ?? []), ...names];
    }
  }
  return dropped === null ? result : without(result, dropped);
}

/** Connection may stand behind what it names. */
function without(pairs: readonly string[], names: readonly string[]): string[] {
  return pairs.filter((_, index) => !names.includes((pairs[index - (index % 2)] ?? '').toLowerCase()));
}

function textOf(item: Buffer | string | undefined): string {
  return typeof item === 'string' ? item : (item?.toString('latin1') ?? '');
}
