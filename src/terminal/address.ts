/** Addresses as they are written. @module */
import type { Address } from './terminal.ts';

/** `host:port` as it stands in a URL, an IPv6 address in brackets. */
export function authorityOf({ host, port }: Address): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}
