/**
 * Two sockets joined: bytes go from each to the other as they come, at the pace of the slower one.
 * @module
 */
import type { Duplex } from 'node:stream';
import { encodeClose, FrameTracker, ProtocolError } from './frames.ts';

export interface SpliceOptions {
  readonly client: Duplex;
  readonly terminal: Duplex;
  /** Called for each chunk, either direction, with its length. */
  readonly touch: (bytes: number) => void;
  /** Called once, when both are gone. */
  readonly ended: () => void;
  /**
   * Looks at the client's first bytes and gives what to pass on in their place; left out once it is done.
   * @throws ProtocolError
   */
  readonly filter?: (chunk: Buffer) => { readonly passOn: Buffer; readonly done: boolean };
}

/** How long a peer may take to answer a Close frame. */
const closeGraceMs = 1_000;

/** A running WebSocket between a client and a terminal, after its first frames. */
export class Splice {
  readonly #client: Duplex;
  readonly #terminal: Duplex;
  readonly #touch: SpliceOptions['touch'];
  readonly #ended: () => void;
  readonly #toClient = new FrameTracker();
  readonly #toTerminal = new FrameTracker();
  /** A Close frame that waits for the end of the frame that is being passed on. */
  #farewell: Buffer | null = null;
  #filter: SpliceOptions['filter'];
  #parted = false;

  constructor({ client, terminal, touch, ended, filter }: SpliceOptions) {
    this.#client = client;
    this.#terminal = terminal;
    this.#touch = touch;
    this.#ended = ended;
    this.#filter = filter;
    client.on('data', this.#fromClient).on('drain', () => terminal.resume());
    terminal.on('data', this.#fromTerminal).on('drain', () => client.resume());
    client.on('end', () => terminal.end()).on('close', this.#part);
    terminal.on('end', this.#terminalEnded).on('close', this.#terminalEnded);
    client.resume();
    terminal.resume();
  }

  readonly #fromClient = (received: Buffer): void => {
    this.#touch(received.length);
    const chunk = this.#filter ? this.#guard(() => this.#filtered(received)) : received;
    if (!chunk || chunk.length === 0) return;
    if (this.#guard(() => this.#toTerminal.push(chunk)) === undefined) return;
    if (!this.#terminal.write(chunk)) this.#client.pause();
  };

  #filtered(received: Buffer): Buffer {
    const { passOn, done } = this.#filter?.(received) ?? { passOn: received, done: true };
    if (done) this.#filter = undefined;
    return passOn;
  }

  readonly #fromTerminal = (chunk: Buffer): void => {
    if (this.#parted) return;
    this.#touch(chunk.length);
    const end = this.#guard(() => this.#toClient.push(chunk));
    if (end === undefined) return;
    if (this.#farewell !== null && end >= 0) {
      this.#client.write(chunk.subarray(0, end));
      this.#sayFarewell(this.#farewell);
    } else if (!this.#client.write(chunk)) this.#terminal.pause();
  };

  /** Passes on bytes that came in before the splice was made. */
  push(fromClient: Buffer, fromTerminal: Buffer): void {
    if (fromClient.length > 0) this.#fromClient(fromClient);
    if (fromTerminal.length > 0) this.#fromTerminal(fromTerminal);
  }

  /** Closes towards the client with this code, between two frames; the terminal just sees the connection end. */
  close(code: number, reason: string): void {
    if (this.#parted || this.#farewell !== null) return;
    this.#farewell = encodeClose(code, reason, false);
    if (this.#toClient.closed) this.#client.end();
    else if (this.#toClient.atBoundary) this.#sayFarewell(this.#farewell);
    setTimeout(() => this.#part(), closeGraceMs).unref();
  }

  #sayFarewell(frame: Buffer): void {
    this.#terminal.destroy();
    // What the client still sends is of no use, but must be read for its own Close frame and the end to come through.
    this.#client.off('data', this.#fromClient).resume();
    this.#client.end(frame);
  }

  /** The terminal is gone: with a Close frame of its own, or without a word, which is told in its place. */
  readonly #terminalEnded = (): void => {
    if (this.#parted || this.#farewell !== null) return;
    if (this.#toClient.closed) this.#finish();
    else if (this.#toClient.atBoundary) this.close(1011, 'the terminal ended the connection');
    else this.#part();
  };

  /** All is said: the client's end is waited for once it has everything, for a moment. */
  #finish(): void {
    if (this.#client.writableEnded) return;
    this.#client.end(() => setTimeout(this.#part, closeGraceMs).unref());
  }

  /** A peer that breaks the protocol ends the connection: nothing after that can be understood. */
  #guard<T>(read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#part();
      return undefined;
    }
  }

  readonly #part = (): void => {
    if (this.#parted) return;
    this.#parted = true;
    this.#client.destroy();
    this.#terminal.destroy();
    this.#ended();
  };
}
