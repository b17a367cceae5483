/**
 * The first message of a client: gathered from whatever chunks and fragments it comes in, and read as an auth message.
 * @module
 */
import { encodeFrame, opcodes, ProtocolError, readHeader, unmask } from './frames.ts';

/** What has come in before the stream is passed on. */
export interface FirstMessage {
  /** The token of `{"type":"auth","token":"…"}`; null where the message is something else. */
  readonly token: string | null;
  /** What to pass on in its place: nothing for an auth message, else the frames as they came. */
  readonly passOn: Buffer;
  /** What came behind it. */
  readonly rest: Buffer;
}

export class FirstMessageReader {
  readonly #limit: number;
  readonly #reply: (frame: Buffer) => void;
  #bytes: Buffer = Buffer.alloc(0);
  /** Where the next frame begins. */
  #at = 0;
  readonly #payload: Buffer[] = [];
  #opcode: number | null = null;
  /** Where the frames of the message begin: control frames before it are answered here. */
  #messageFrames: Buffer[] = [];

  /**
   * @param limit of bytes in all
   * @param reply takes a frame for the client: pings are answered here as long as nobody else could
   */
  constructor(limit: number, reply: (frame: Buffer) => void) {
    this.#limit = limit;
    this.#reply = reply;
  }

  /**
   * @returns the first message, 'closed' where the client takes its leave instead, or null while more bytes are needed
   * @throws ProtocolError
   */
  push(chunk: Buffer): FirstMessage | 'closed' | null {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    for (;;) {
      const header = readHeader(this.#bytes, this.#at);
      if (this.#at + (header?.length ?? 0) > this.#limit) throw new ProtocolError(1009, `the first message is above ${this.#limit} bytes`);
      if (header === null) return null;
      if (header.mask === null) throw new ProtocolError(1002, 'a client has to mask its frames');
      const end = this.#at + header.size + header.length;
      if (this.#bytes.length < end) return null;
      const frame = this.#bytes.subarray(this.#at, end);
      const payload = unmask(frame.subarray(header.size), header.mask);
      this.#at = end;
      if (header.opcode === opcodes.close) return 'closed';
      if (header.opcode === opcodes.ping) this.#reply(encodeFrame(opcodes.pong, payload, false));
      if (header.opcode >= opcodes.close) continue;
      this.#takeFragment(header.opcode, frame, payload);
      if (header.fin) return this.#whole();
    }
  }

  #takeFragment(opcode: number, frame: Buffer, payload: Buffer): void {
    const continues = opcode === opcodes.continuation;
    if (continues === (this.#opcode === null)) {
      throw new ProtocolError(1002, 'a fragment belongs to no message, or a message began within another');
    }
    this.#opcode ??= opcode;
    this.#messageFrames.push(frame);
    this.#payload.push(payload);
  }

  #whole(): FirstMessage {
    const token = this.#opcode === opcodes.text ? authToken(Buffer.concat(this.#payload).toString('utf8')) : null;
    return {
      token,
      passOn: token === null ? Buffer.concat(this.#messageFrames) : Buffer.alloc(0),
      rest: this.#bytes.subarray(this.#at),
    };
  }
}

/** The token of an auth message; null for any other text. */
function authToken(text: string): string | null {
  try {
    const message: unknown = JSON.parse(text);
    if (typeof message !== 'object' || message === null) return null;
    if (!('type' in message) || message.type !== 'auth') return null;
    return 'token' in message && typeof message.token === 'string' ? message.token : '';
  } catch {
    return null;
  }
}
