/**
 * Lines for a file or a pipe, written at once: what the log and the audit log both need.
 * @module
 */
import { writeSync } from 'node:fs';

/** A pipe that is full is tried again after this long. */
const fullMs = 10;
const nap = new Int32Array(new SharedArrayBuffer(4));

export class Lines {
  readonly #descriptor: number;
  /** The last one was written in part. */
  #cut = false;

  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** @throws where they can't be written; they are not kept for later */
  write(lines: string): void {
    // What follows a line that was cut must not be taken for the rest of it.
    const bytes = Buffer.from(this.#cut ? `\n${lines}` : lines);
    for (let at = 0; at < bytes.length; ) {
      at += this.#some(bytes, at);
      this.#cut = at < bytes.length;
    }
  }

  #some(bytes: Buffer, at: number): number {
    try {
      return writeSync(this.#descriptor, bytes, at);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) throw error;
      Atomics.wait(nap, 0, 0, fullMs);
      return 0;
    }
  }
}
