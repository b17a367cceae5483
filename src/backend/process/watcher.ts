/**
 * Seeing servers end: our own children say so, those of an earlier run are looked at once a second.
 * @module
 */
import type { ChildProcess } from 'node:child_process';
import type { TerminalKey, TerminalName } from '../../terminal/terminal.ts';
import { bornOf } from './processes.ts';

interface Watched {
  readonly key: TerminalKey;
  readonly pid: number;
  readonly born: string;
  /** Tells of its end by itself. */
  readonly child: boolean;
}

const pollMs = 1_000;

export class Watcher {
  readonly #watched = new Map<TerminalName, Watched>();
  readonly #ended: (key: TerminalKey) => void;
  #timer: NodeJS.Timeout | null = null;

  /** @param ended called once for each server that ended */
  constructor(ended: (key: TerminalKey) => void) {
    this.#ended = ended;
  }

  child(
    name: TerminalName,
    key: TerminalKey,
    born: string,
    child: ChildProcess & { readonly pid: number },
  ): void {
    const one = { key, pid: child.pid, born, child: true };
    this.#watched.set(name, one);
    child.once('exit', () => this.#gone(name, one));
  }

  /** One that runs, perhaps started by an earlier run of Terminals. */
  found(
    name: TerminalName,
    key: TerminalKey,
    { pid, born }: { readonly pid: number; readonly born: string },
  ): void {
    const known = this.#watched.get(name);
    if (known?.pid === pid && known.born === born) return;
    this.#watched.set(name, { key, pid, born, child: false });
    this.#schedule();
  }

  close(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    this.#watched.clear();
  }

  #schedule(): void {
    if (this.#timer !== null || ![...this.#watched.values()].some(({ child }) => !child)) return;
    this.#timer = setTimeout(() => {
      void this.#poll();
    }, pollMs);
    this.#timer.unref();
  }

  async #poll(): Promise<void> {
    for (const [name, one] of this.#watched) {
      if (!one.child && (await bornOf(one.pid)) !== one.born) this.#gone(name, one);
    }
    this.#timer = null;
    this.#schedule();
  }

  #gone(name: TerminalName, one: Watched): void {
    if (this.#watched.get(name) !== one) return;
    this.#watched.delete(name);
    this.#ended(one.key);
  }
}
