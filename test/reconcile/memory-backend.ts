/**
 * A backend that keeps its terminals in memory: it obeys the interface to the letter, and fails, dawdles, succeeds by half
 * or loses events when a test says so.
 */
import type { Backend, BackendListener, Progress } from '../../src/backend/backend.ts';
import { EngineUnavailableError, StartFailedError } from '../../src/errors.ts';
import { fingerprintOf } from '../../src/terminal/desired.ts';
import { isNobody, terminalName } from '../../src/terminal/names.ts';
import type {
  Actual,
  Address,
  Desired,
  RunningTerminal,
  TerminalKey,
  TerminalName,
  Workload,
} from '../../src/terminal/terminal.ts';
import { turns } from './turns.ts';

export type Operation =
  | 'list'
  | 'inspect'
  | 'prepare'
  | 'create'
  | 'claim'
  | 'start'
  | 'update'
  | 'stop'
  | 'remove'
  | 'reset';

/** What goes wrong around an operation: `before` it has had any effect, or `after` it has had it. */
export interface Fault {
  before?(): void | Promise<void>;
  after?(): void | Promise<void>;
}

export interface Call {
  readonly operation: Operation;
  readonly name: TerminalName | null;
}

export class MemoryBackend implements Backend {
  readonly kind = 'process';
  readonly platform = {};
  readonly unenforced = [];
  readonly calls: Call[] = [];
  /** Told of every call as it is made. */
  called: ((call: Call) => void) | null = null;
  /** Told whenever what is there has changed. */
  happened: (() => void) | null = null;
  /** Homes that exist; only `remove` with files, and `reset`, take one away. */
  readonly homes = new Set<TerminalName>();
  /** While false, nothing answers. */
  up = true;
  /** While true, no event gets through. */
  deaf = false;
  /** After how many turns each event is told, as often as there are numbers; what is told is how it was half way. */
  delays: readonly number[] = [1];
  /** Where a terminal's server answers. */
  address: (desired: Desired) => Address;
  readonly #terminals = new Map<TerminalName, Actual>();
  readonly #faults = new Map<Operation, Fault[]>();
  #listener: BackendListener | null = null;
  #ticks = 0;

  constructor(address: (desired: Desired) => Address = () => ({ host: '127.0.0.1', port: 9 })) {
    this.address = address;
  }

  // --- what a test does to it ----------------------------------------------

  /** Puts a fault around the next calls of an operation. */
  inject(operation: Operation, fault: Fault, times = 1): void {
    const waiting = this.#faults.get(operation) ?? [];
    this.#faults.set(operation, [...waiting, ...Array<Fault>(times).fill(fault)]);
  }

  /** Takes back the faults that were injected and not met yet. */
  mend(operation: Operation): void {
    this.#faults.delete(operation);
  }

  /** How often an operation was called. */
  count(operation: Operation): number {
    return this.calls.filter((call) => call.operation === operation).length;
  }

  /** What changed something, in order. */
  get changes(): readonly Operation[] {
    const reading = new Set<Operation>(['list', 'inspect']);
    return this.calls.map(({ operation }) => operation).filter((operation) => !reading.has(operation));
  }

  /** Everything that is there. */
  get all(): readonly Actual[] {
    return [...this.#terminals.values()];
  }

  actual(key: TerminalKey): Actual | undefined {
    return this.#terminals.get(terminalName(key));
  }

  /** Something outside of Terminals changed it (undefined: took it away); told unless deaf. */
  outside(key: TerminalKey, actual: Actual | undefined): void {
    this.#put(key, actual);
  }

  /** The connection to the engine came back: everything is listed again. Where events are late, so is what the list says. */
  comesBack(): void {
    this.up = true;
    const all = [...this.#terminals.values()];
    const since = this.#listener?.count;
    const late = Math.max(...this.delays) - 1;
    if (late === 0) this.#listener?.relisted(all, since);
    else void turns(late).then(() => this.#listener?.relisted(all, since));
  }

  // --- the interface -------------------------------------------------------

  list(): Promise<readonly Actual[]> {
    return this.#run('list', null, () => [...this.#terminals.values()]);
  }

  inspect(key: TerminalKey): Promise<Actual | undefined> {
    return this.#run('inspect', key, () => this.actual(key));
  }

  watch(listener: BackendListener, signal: AbortSignal): void {
    this.#listener = listener;
    signal.addEventListener('abort', () => {
      this.#listener = null;
    });
  }

  prepare(_workload: Workload, progress: Progress): Promise<void> {
    return this.#run('prepare', null, () => progress('pulling 45 %'));
  }

  create(desired: Desired, progress: Progress): Promise<RunningTerminal> {
    return this.#run('create', desired.key, () => {
      progress('starting');
      const known = this.actual(desired.key);
      if (known?.phase === 'Running' && known.revision === desired.revision) return known;
      if (!isNobody(desired.key.user)) this.homes.add(desired.name);
      return this.#put(desired.key, this.#running(desired));
    });
  }

  claim(warm: RunningTerminal, desired: Desired): Promise<RunningTerminal | null> {
    return this.#run('claim', warm.key, () => {
      const { name, key } = desired;
      const there = this.#terminals.get(warm.name);
      if (there?.phase !== 'Running' || this.#terminals.has(name)) return null;
      // Its name is all that changes: who looks for the old one finds nothing.
      this.#terminals.delete(warm.name);
      this.homes.add(name);
      return this.#put(key, { ...there, key, name });
    });
  }

  start(desired: Desired): Promise<RunningTerminal> {
    return this.#run('start', desired.key, () => {
      const known = this.actual(desired.key);
      if (known?.phase === 'Running') return known;
      if (known === undefined) throw new StartFailedError('The terminal is not there.', 'Try again.');
      return this.#put(desired.key, { ...this.#running(desired), revision: known.revision });
    });
  }

  update(desired: Desired): Promise<Actual> {
    return this.#run('update', desired.key, () => {
      const known = this.actual(desired.key);
      if (known === undefined) throw new StartFailedError('The terminal is not there.', 'Try again.');
      const { astray: _putRight, ...rest } = known;
      return this.#put(desired.key, { ...rest, limits: desired.limits });
    });
  }

  stop(key: TerminalKey): Promise<void> {
    return this.#run('stop', key, () => {
      const known = this.actual(key);
      if (known === undefined) return;
      const { name, revision, fingerprint, limits, idleTimeoutMs } = known;
      this.#put(key, { phase: 'Idle', key, name, revision, fingerprint, limits, idleTimeoutMs });
    });
  }

  remove(key: TerminalKey, { files }: { readonly files: boolean }): Promise<void> {
    return this.#run('remove', key, () => {
      this.#put(key, undefined);
      if (files) this.homes.delete(terminalName(key));
    });
  }

  reset({ key }: Desired, _keep: readonly string[]): Promise<void> {
    return this.#run('reset', key, () => {
      this.#put(key, undefined);
      this.homes.delete(terminalName(key));
    });
  }

  async close(): Promise<void> {
    this.#listener = null;
  }

  async #run<T>(operation: Operation, key: TerminalKey | null, effect: () => T): Promise<T> {
    const call = { operation, name: key === null ? null : terminalName(key) };
    this.calls.push(call);
    this.called?.(call);
    const fault = this.#faults.get(operation)?.shift();
    // Nothing real answers in the same turn.
    await new Promise((resolve) => setImmediate(resolve));
    await fault?.before?.();
    if (!this.up) throw new EngineUnavailableError('The engine does not answer.', 'Start it.');
    const result = effect();
    await fault?.after?.();
    return result;
  }

  #put<A extends Actual | undefined>(key: TerminalKey, actual: A): A {
    const name = terminalName(key);
    if (actual === undefined) this.#terminals.delete(name);
    else this.#terminals.set(name, actual);
    this.happened?.();
    if (!this.deaf) for (const count of this.delays) void this.#tell(key, count);
    return actual;
  }

  /** As by an engine that is asked after the event: its answer may be older than what was done meanwhile. */
  async #tell(key: TerminalKey, count: number): Promise<void> {
    const half = Math.floor(count / 2);
    await turns(count - half);
    const seen = this.actual(key);
    const since = this.#listener?.count;
    await turns(half);
    this.#listener?.changed(key, seen, since);
  }

  #running(desired: Desired): RunningTerminal {
    this.#ticks += 1;
    return {
      phase: 'Running',
      key: desired.key,
      name: desired.name,
      revision: desired.revision,
      fingerprint: fingerprintOf(desired.workload),
      limits: desired.limits,
      idleTimeoutMs: desired.idleTimeoutMs,
      address: this.address(desired),
      // No two that are nobody's share one.
      apiKey: `key-of-${desired.name}${isNobody(desired.key.user) ? `-${this.#ticks}` : ''}`,
      startedAt: this.#ticks,
    };
  }
}
