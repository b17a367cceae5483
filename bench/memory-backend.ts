/** A backend without an engine: terminals are entries of a map, all of them running at one address. @module */
import type { Backend, BackendListener } from '../src/backend/backend.ts';
import { fingerprintOf } from '../src/terminal/desired.ts';
import { terminalName } from '../src/terminal/names.ts';
import type {
  Actual,
  Address,
  Desired,
  RunningTerminal,
  Template,
  TerminalKey,
  TerminalName,
} from '../src/terminal/terminal.ts';

export class MemoryBackend implements Backend {
  readonly kind = 'process';
  readonly platform = {};
  readonly unenforced = [];
  /** How often the "engine" was asked. */
  calls = 0;
  readonly #terminals = new Map<TerminalName, Actual>();
  readonly #address: Address;
  #listener: BackendListener | null = null;

  constructor(address: Address) {
    this.#address = address;
  }

  /** One that runs already. */
  put(key: TerminalKey, template: Template): void {
    this.#run({ key, name: terminalName(key), ...template });
  }

  /** Says that everything was listed again. */
  relist(): void {
    this.#listener?.relisted([...this.#terminals.values()]);
  }

  async list(): Promise<readonly Actual[]> {
    this.calls += 1;
    return [...this.#terminals.values()];
  }

  async inspect(key: TerminalKey): Promise<Actual | undefined> {
    this.calls += 1;
    return this.#terminals.get(terminalName(key));
  }

  watch(listener: BackendListener): void {
    this.#listener = listener;
  }

  async prepare(): Promise<void> {}

  async create(desired: Desired): Promise<RunningTerminal> {
    return this.#run(desired);
  }

  async start(desired: Desired): Promise<RunningTerminal> {
    return this.#run(desired);
  }

  async update(desired: Desired): Promise<Actual> {
    return this.#run(desired);
  }

  async stop(key: TerminalKey): Promise<void> {
    const terminal = this.#terminals.get(terminalName(key));
    if (terminal) this.#terminals.set(terminal.name, { ...terminal, phase: 'Idle' });
  }

  async remove(key: TerminalKey): Promise<void> {
    this.#terminals.delete(terminalName(key));
  }

  async close(): Promise<void> {}

  #run({ key, name, revision, workload, limits, idleTimeoutMs }: Desired): RunningTerminal {
    const terminal: RunningTerminal = {
      key,
      name,
      revision,
      fingerprint: fingerprintOf(workload),
      limits,
      idleTimeoutMs,
      phase: 'Running',
      address: this.#address,
      apiKey: 'a-key-of-forty-three-characters-as-they-are',
      startedAt: Date.now(),
    };
    this.#terminals.set(name, terminal);
    return terminal;
  }
}
