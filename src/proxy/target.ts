/**
 * The raw request target → the policy it names and what goes on to the terminal, byte for byte.
 * @module
 */
import { BadRequestError } from '../errors.ts';

export interface Target {
  /** The id in `/p/{id}/`; null where the path names none. */
  readonly policy: string | null;
  /** Path and query for the terminal, exactly as they came. */
  readonly path: string;
}

/**
 * Splits a request target without decoding or normalising what follows the policy.
 * @throws BadRequestError for anything but an absolute path (RFC 9112 3.2.1)
 */
export function parseTarget(url: string): Target {
  if (!url.startsWith('/')) {
    throw new BadRequestError(
      'The request target is not an absolute path.',
      'Send a path such as /execute; Terminals is no forward proxy.',
    );
  }
  if (!url.startsWith('/p/')) return { policy: null, path: url };
  const end = url.slice(3).search(/[/?]/);
  const encoded = end === -1 ? url.slice(3) : url.slice(3, 3 + end);
  const rest = end === -1 ? '' : url.slice(3 + end);
  return { policy: decodePolicy(encoded), path: rest.startsWith('/') ? rest : `/${rest}` };
}

function decodePolicy(encoded: string): string {
  try {
    return decodeURIComponent(encoded);
  } catch (error) {
    throw new BadRequestError(
      `The policy in the path, "${encoded.slice(0, 40)}", is not valid percent-encoding.`,
      'Name the policy as in its metadata.name.',
      { cause: error },
    );
  }
}

/** The path alone, without its query: fit for logs and for comparing with routes. */
export function pathOnly(path: string): string {
  const query = path.indexOf('?');
  return query === -1 ? path : path.slice(0, query);
}
