/**
 * The end of a connection that is refused or closed from here.
 * @module
 */
import type { Duplex } from 'node:stream';

/** How long a peer may take to end its side. */
export const farewellMs = 1_000;

/** Says the last words, then goes, also where the peer never ends its side: half open, it would be there for ever. */
export function part(socket: Duplex, words: string | Buffer): void {
  if (socket.destroyed) return;
  socket.resume();
  socket.end(words);
  const timer = setTimeout(() => socket.destroy(), farewellMs).unref();
  socket.once('close', () => clearTimeout(timer));
}
