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

/** Not for the terminal: our own key, who vouched for the user, and what is made anew for the next hop. */
const withheld = new Set([
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

/** The names that a Connection header adds to the hop-by-hop ones, in lower case. */
function listed(connection: string | undefined): readonly string[] {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return [];
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
    if (hopByHop.has(lower) || withheld.has(lower) || dropped.includes(lower)) continue;
    result.push(name, rawHeaders[index + 1] ?? '');
  }
  // With a body, its length goes on so that the terminal can refuse early and a broken upload is noticed.
  if (headers['content-length'] !== undefined && headers['transfer-encoding'] === undefined) {
    result.push('content-length', headers['content-length']);
  }
  for (const [name, value] of Object.entries(forwardedHeaders(request))) result.push(name, value);
  return result;
}

/** `X-Forwarded-For`, `-Host` and `-Proto`, continued from what the caller's own proxy said. */
export function forwardedHeaders(request: IncomingMessage): Record<string, string> {
  const { headers, socket } = request;
  const before = headers['x-forwarded-for'];
  const peer = socket.remoteAddress ?? 'unknown';
  const chain =
    before === undefined ? peer : `${Array.isArray(before) ? before.join(', ') : before}, ${peer}`;
  const host = first(headers['x-forwarded-host']) ?? headers.host;
  return {
    'x-forwarded-for': chain,
    'x-forwarded-proto': first(headers['x-forwarded-proto']) ?? 'http',
    ...(host === undefined ? {} : { 'x-forwarded-host': host }),
  };
}

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

/** The terminal's response headers for the caller, as name, value, name, value…, without hop-by-hop ones. */
export function responseHeaders(raw: readonly (Buffer | string)[]): string[] {
  const pairs: string[] = [];
  let dropped: readonly string[] = [];
  for (const item of raw) pairs.push(typeof item === 'string' ? item : item.toString('latin1'));
  for (let index = 0; index < pairs.length; index += 2) {
    if (pairs[index]?.toLowerCase() === 'connection') dropped = [...dropped, ...listed(pairs[index + 1])];
  }
  const result: string[] = [];
  for (let index = 0; index < pairs.length; index += 2) {
    const name = pairs[index] ?? '';
    const lower = name.toLowerCase();
    if (hopByHop.has(lower) || dropped.includes(lower)) continue;
    result.push(name, pairs[index + 1] ?? '');
  }
  return result;
}
