/**
 * "Look at this terminal at that time": a heap with one timer, so that ten thousand waiting terminals cost nothing.
 * @module
 */
import type { TerminalName } from '../terminal/terminal.ts';

interface Deadline<Name> {
  readonly at: number;
  readonly name: Name;
}

/** setTimeout takes a signed 32-bit number of milliseconds. */
const longestTimerMs = 2 ** 31 - 1;

/** So many replaced entries are kept at least before they are thrown out. */
const slack = 64;

/**
 * One deadline a terminal. Setting and expiring cost O(log n); a replaced entry is dropped when it surfaces, and all of them
 * together once they are more than the others.
 */
export class Deadlines<Name extends string = TerminalName> {
  readonly #heap: Deadline<Name>[] = [];
  readonly #current = new Map<Name, number>();
  readonly #due: (name: Name) => void;
  readonly #now: () => number;
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(due: (name: Name) => void, now: () => number = Date.now) {
    this.#due = due;
    this.#now = now;
  }

  /** Replaces the terminal's deadline; null removes it. */
  set(name: Name, at: number | null): void {
    if (at === null) {
      this.#current.delete(name);
      return;
    }
    if (this.#current.get(name) === at) return;
    this.#current.set(name, at);
    this.#push({ at, name });
    if (this.#heap.length > 2 * this.#current.size + slack) this.#throwOut();
    this.#arm();
  }

  /** How many terminals have a deadline. */
  get size(): number {
    return this.#current.size;
  }

  /** Entries that are held for them, replaced ones included. */
  get held(): number {
    return this.#heap.length;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#heap.length = 0;
    this.#current.clear();
    this.#timerAt = Number.POSITIVE_INFINITY;
  }

  #arm(): void {
    const first = this.#heap[0];
    if (first === undefined || first.at >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = first.at;
    const delay = Math.min(Math.max(first.at - this.#now(), 0), longestTimerMs);
    this.#timer = setTimeout(() => this.#expire(), delay).unref();
  }

  #expire(): void {
    this.#timerAt = Number.POSITIVE_INFINITY;
    const now = this.#now();
    for (let first = this.#heap[0]; first !== undefined && first.at <= now; first = this.#heap[0]) {
      this.#pop();
      if (this.#current.get(first.name) !== first.at) continue;
      this.#current.delete(first.name);
      this.#due(first.name);
    }
    this.#arm();
  }

  /** Leaves those in force: in order they are a heap as well. */
  #throwOut(): void {
    this.#heap.length = 0;
    for (const [name, at] of this.#current) this.#heap.push({ at, name });
    this.#heap.sort((a, b) => a.at - b.at);
  }

  #push(deadline: Deadline<Name>): void {
    const heap = this.#heap;
    let index = heap.push(deadline) - 1;
    while (index > 0) {
      const above = (index - 1) >> 1;
      const parent = heap[above];
      if (parent === undefined || parent.at <= deadline.at) break;
      heap[index] = parent;
      index = above;
    }
    heap[index] = deadline;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let below = 2 * index + 1;
      let child = heap[below];
      const right = heap[below + 1];
      if (child !== undefined && right !== undefined && right.at < child.at) {
        child = right;
        below += 1;
      }
      if (child === undefined || child.at >= last.at) break;
      heap[index] = child;
      index = below;
    }
    heap[index] = last;
  }
}
