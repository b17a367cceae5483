/**
 * WebSocket frames (RFC 6455 section 5), as far as a proxy has to know them: headers are read, payloads are skipped. Pure.
 * @module
 */
import { randomBytes } from 'node:crypto';

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
const knownOpcodes = new Set<number>(Object.values(opcodes));
/** RFC 6455 5.5: what a control frame may carry. */
const longestControl = 125;

export interface FrameHeader {
  readonly fin: boolean;
  readonly opcode: number;
  /** null: the payload is not masked. */
  readonly mask: Buffer | null;
  /** Bytes before the payload. */
  readonly size: number;
  /** Bytes of payload. */
  readonly length: number;
}

/** The peer broke the protocol; the connection is closed with this code. */
export class ProtocolError extends Error {
  override readonly name = 'ProtocolError';
  readonly closeCode: number;
  constructor(closeCode: 1002 | 1007 | 1009, message: string) {
    super(message);
    this.closeCode = closeCode;
  }
}

/**
 * The header of the frame that begins at `at`; null where more bytes are needed for it.
 * @throws ProtocolError for what no extension-less frame is
 */
export function readHeader(bytes: Buffer, at: number): FrameHeader | null {
  if (bytes.length < at + 2) return null;
  const first = bytes.readUInt8(at);
  const second = bytes.readUInt8(at + 1);
  const fin = (first & 0x80) !== 0;
  const opcode = first & 0x0f;
  if ((first & 0x70) !== 0)
    throw new ProtocolError(1002, 'a reserved bit is set, and no extension was agreed on');
  if (!knownOpcodes.has(opcode)) throw new ProtocolError(1002, `the opcode ${opcode} is not known`);
  const masked = (second & 0x80) !== 0;
  const short = second & 0x7f;
  if (opcode >= opcodes.close && (!fin || short > longestControl)) {
    throw new ProtocolError(1002, 'a control frame is fragmented or too long');
  }
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
  const size = 2 + extended + (masked ? 4 : 0);
  if (bytes.length < at + size) return null;
  return {
    fin,
    opcode,
    mask: masked ? bytes.subarray(at + size - 4, at + size) : null,
    size,
    length: extended === 0 ? short : readLength(bytes, at + 2, extended),
  };
}

function readLength(bytes: Buffer, at: number, extended: number): number {
  if (extended === 2) return bytes.readUInt16BE(at);
  const length = bytes.readBigUInt64BE(at);
  if (length > BigInt(Number.MAX_SAFE_INTEGER)) throw new ProtocolError(1009, 'the frame is too big');
  return Number(length);
}

/** Takes the mask off a payload, in a copy. */
export function unmask(payload: Buffer, mask: Buffer | null): Buffer {
  const plain = Buffer.from(payload);
  if (mask === null) return plain;
  for (let index = 0; index < plain.length; index += 1) {
    plain[index] = (plain[index] ?? 0) ^ (mask[index & 3] ?? 0);
  }
  return plain;
}

/** One whole frame; `masked` as a client has to send it (RFC 6455 5.3). */
export function encodeFrame(opcode: number, payload: Buffer, masked: boolean): Buffer {
  const { length } = payload;
  const extended = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const header = Buffer.alloc(2 + extended);
  header.writeUInt8(0x80 | opcode, 0);
  header.writeUInt8((masked ? 0x80 : 0) | (extended === 0 ? length : extended === 2 ? 126 : 127), 1);
  if (extended === 2) header.writeUInt16BE(length, 2);
  if (extended === 8) header.writeBigUInt64BE(BigInt(length), 2);
  if (!masked) return Buffer.concat([header, payload]);
  const mask = randomBytes(4);
  return Buffer.concat([header, mask, unmask(payload, mask)]);
}

/** A Close frame; a reason beyond what a control frame holds is cut, never within a character. */
export function encodeClose(code: number, reason: string, masked: boolean): Buffer {
  const status = Buffer.alloc(2);
  status.writeUInt16BE(code);
  const text = Buffer.from(reason);
  const whole = text.subarray(0, characterAt(text, longestControl - 2));
  return encodeFrame(opcodes.close, Buffer.concat([status, whole]), masked);
}

/** Where the character begins whose bytes are at `end` of a UTF-8 text. */
function characterAt(text: Buffer, end: number): number {
  let at = Math.min(end, text.length);
  while (((text[at] ?? 0) & 0xc0) === 0x80) at -= 1;
  return at;
}

/**
 * Follows a stream of frames that is passed on as it comes, so that one of our own can be put between two of them.
 * Reads headers, counts payload bytes, and keeps at most the 14 bytes of a header that chunks split.
 */
export class FrameTracker {
  /** Payload bytes of the present frame that are still to come. */
  #left = 0;
  #partial: Buffer | null = null;
  #closed = false;

  /** Between two frames. */
  get atBoundary(): boolean {
    return this.#left === 0 && this.#partial === null;
  }

  /** A Close frame has begun: the peers are about to part by themselves. */
  get closed(): boolean {
    return this.#closed;
  }

  /**
   * Takes note of a chunk.
   * @returns the offset in it behind the first frame that ends in it; -1 where none does
   * @throws ProtocolError
   */
  push(chunk: Buffer): number {
    let firstEnd = -1;
    let at = 0;
    while (at < chunk.length) {
      if (this.#left === 0) {
        at += this.#readHeader(chunk, at);
        if (this.#partial !== null) break;
      }
      const skipped = Math.min(this.#left, chunk.length - at);
      this.#left -= skipped;
      at += skipped;
      if (this.#left === 0 && firstEnd === -1) firstEnd = at;
    }
    return firstEnd;
  }

  /** @returns how many bytes of the chunk belong to the header */
  #readHeader(chunk: Buffer, at: number): number {
    const before = this.#partial?.length ?? 0;
    // A header has 14 bytes at most, so that no more than those are ever put together.
    const bytes =
      this.#partial === null ? chunk : Buffer.concat([this.#partial, chunk.subarray(at, at + 14)]);
    const header = readHeader(bytes, this.#partial === null ? at : 0);
    if (header === null) {
      this.#partial = Buffer.from(this.#partial === null ? chunk.subarray(at) : bytes);
      return chunk.length - at;
    }
    this.#partial = null;
    this.#left = header.length;
    if (header.opcode === opcodes.close) this.#closed = true;
    return header.size - before;
  }
}
