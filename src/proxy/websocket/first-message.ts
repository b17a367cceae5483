/**
 * The first message of a client: gathered from whatever chunks and fragments it comes in, and read as an auth message.
 * @module
 */
import { opcodes, ProtocolError, readHeader, unmask } from './frames.ts';

/** What has come in before the stream is passed on. */
export interface FirstMessage {
  /** The token of `{"type":"auth","token":"…"}`; null where the message is something else. */
  readonly token: string | null;
  /** What to pass on in its place: nothing for an auth message, else the frames as they came. */
  readonly passOn: Buffer;
  /** What came behind it. */
  readonly rest: Buffer;
}

/** What comes before, or in the place of, a message: pings, pongs, and the leave of the client. */
export type ControlFrame = { readonly opcode: number; readonly payload: Buffer; readonly frame: Buffer };

export class FirstMessageReader {
  readonly #limit: number;
  readonly #control: (control: ControlFrame) => void;
  /** What is not read yet. */
  #bytes: Buffer = Buffer.alloc(0);
  #opcode: number | null = null;
  readonly #frames: Buffer[] = [];
  readonly #payload: Buffer[] = [];
  #size = 0;

  /**
   * @param limit of bytes of the message with all its frames
   * @param control takes control frames as they come
   */
  constructor(limit: number, control: (control: ControlFrame) => void) {
    this.#limit = limit;
    this.#control = control;
  }

  /**
   * @returns the first message, or null while more bytes are needed
   * @throws ProtocolError
   */
  push(chunk: Buffer): FirstMessage | null {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk]);
    for (;;) {
      const header = readHeader(this.#bytes, 0);
      if (header === null) return null;
      if (header.mask === null) throw new ProtocolError(1002, 'a client has to mask its frames');
      const end = header.size + header.length;
      if (this.#size + end > this.#limit)
        throw new ProtocolError(1009, `the first message is above ${this.#limit} bytes`);
      if (this.#bytes.length < end) return null;
      const frame = this.#bytes.subarray(0, end);
      const payload = unmask(frame.subarray(header.size), header.mask);
      this.#bytes = this.#bytes.subarray(end);
      if (header.opcode >= opcodes.close) {
        this.#control({ opcode: header.opcode, payload, frame });
        continue;
      }
      this.#takeFragment(header.opcode, frame, payload);
      if (header.fin) return this.#whole();
    }
  }

  /** What was taken in and not given to `control`, as it came. */
  get held(): Buffer {
    return Buffer.concat([...this.#frames, this.#bytes]);
  }

  #takeFragment(opcode: number, frame: Buffer, payload: Buffer): void {
    const continues = opcode === opcodes.continuation;
    if (continues === (this.#opcode === null)) {
      throw new ProtocolError(1002, 'a fragment belongs to no message, or a message began within another');
    }
    this.#opcode ??= opcode;
    this.#frames.push(frame);
    this.#payload.push(payload);
    this.#size += frame.length;
  }

  #whole(): FirstMessage {
    const token =
      this.#opcode === opcodes.text ? authToken(Buffer.concat(this.#payload).toString('utf8')) : null;
    return {
      token,
      passOn: token === null ? Buffer.concat(this.#frames) : Buffer.alloc(0),
      rest: this.#bytes,
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
