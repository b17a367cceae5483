/**
 * Several replicas' views of the same terminals, which an operator brings up: what one declares the others see, and whether it
 * comes to run is what the test says. A replica that is killed declares nothing any more, and hears nothing; what it declared
 * goes on.
 */
import type { Backend, BackendListener, Peers, RevisionRecord } from '../../src/backend/backend.ts';
import { StartFailedError } from '../../src/errors.ts';
import { fingerprintOf } from '../../src/terminal/desired.ts';
import { terminalName } from '../../src/terminal/names.ts';
import { type Revisions, unknownRevisions } from '../../src/terminal/revisions.ts';
import type {
  Actual,
  Desired,
  PolicyId,
  RunningTerminal,
  TerminalKey,
  TerminalName,
} from '../../src/terminal/terminal.ts';

type Told = (policy: PolicyId, known: Revisions) => void;

/** What all replicas share. */
export class SharedCluster {
  readonly terminals = new Map<TerminalName, Actual>();
  readonly known = new Map<PolicyId, Revisions>();
  readonly replicas = new Set<Replica>();
  /** What was declared, in order: whose terminal, by which replica, from which image. */
  readonly declared: { readonly user: string; readonly by: string; readonly image: string }[] = [];
  /** Whether a terminal comes to run: resolves then, rejects where it does not. */
  starts: (desired: Desired) => Promise<void> = async () => undefined;
  #leader: Replica | null = null;
  #starts = 0;

  replica(name: string): Replica {
    const replica = new Replica(this, name);
    this.replicas.add(replica);
    return replica;
  }

  get leader(): Replica | null {
    return this.#leader;
  }

  /** Has another replica lead; null: none. */
  lead(next: Replica | null): void {
    const before = this.#leader;
    this.#leader = next;
    before?.turned();
    next?.turned();
  }

  image(key: TerminalKey): string | undefined {
    const actual = this.terminals.get(terminalName(key));
    return actual?.phase === 'Running' ? actual.fingerprint?.image : undefined;
  }

  put(key: TerminalKey, actual: Actual | undefined): void {
    if (actual === undefined) this.terminals.delete(terminalName(key));
    else this.terminals.set(terminalName(key), actual);
    for (const { listener } of this.replicas) setImmediate(() => listener?.changed(key, actual));
  }

  change(policy: PolicyId, change: (known: Revisions) => Revisions): void {
    const after = change(this.known.get(policy) ?? unknownRevisions);
    this.known.set(policy, after);
    for (const { told } of this.replicas) setImmediate(() => told?.(policy, after));
  }

  running(desired: Desired): RunningTerminal {
    this.#starts += 1;
    const { key, name, revision, workload, limits, idleTimeoutMs } = desired;
    return {
      ...{
        phase: 'Running',
        key,
        name,
        revision,
        fingerprint: fingerprintOf(workload),
        limits,
        idleTimeoutMs,
      },
      ...{ address: { host: '127.0.0.1', port: 9 }, apiKey: `key-of-${name}`, startedAt: this.#starts },
      operated: true,
    };
  }
}

/** One process's backend. */
export class Replica implements Backend {
  readonly kind = 'kubernetes-operator';
  readonly platform = {};
  readonly unenforced = [];
  readonly shared = true;
  readonly name: string;
  readonly peers: Peers;
  readonly revisions: RevisionRecord;
  listener: BackendListener | null = null;
  told: Told | null = null;
  turned: () => void = () => undefined;
  readonly #cluster: SharedCluster;
  #dead = false;

  constructor(cluster: SharedCluster, name: string) {
    this.#cluster = cluster;
    this.name = name;
    const leads = () => cluster.leader === this;
    this.peers = {
      get leads() {
        return leads();
      },
      stand: (changed) => {
        this.turned = changed;
      },
      ask: () => undefined,
      onAsked: () => undefined,
    };
    this.revisions = {
      load: async () => new Map(cluster.known),
      change: (policy, change) => {
        if (!this.#dead) cluster.change(policy, change);
      },
      follow: (changed) => {
        this.told = changed;
      },
    };
  }

  /** As after a kill: what it was doing has no effect any more. */
  kill(): void {
    this.#dead = true;
    this.turned = () => undefined;
    [this.listener, this.told] = [null, null];
    this.#cluster.replicas.delete(this);
  }

  async list(): Promise<readonly Actual[]> {
    return [...this.#cluster.terminals.values()];
  }

  async inspect(key: TerminalKey): Promise<Actual | undefined> {
    return this.#cluster.terminals.get(terminalName(key));
  }

  watch(listener: BackendListener): void {
    this.listener = listener;
  }

  async prepare(): Promise<void> {}

  create(desired: Desired): Promise<RunningTerminal> {
    return this.#bringUp(desired);
  }

  start(desired: Desired): Promise<RunningTerminal> {
    return this.#bringUp(desired);
  }

  replace(desired: Desired): Promise<RunningTerminal> {
    return this.#bringUp(desired);
  }

  async update({ name, limits }: Desired): Promise<Actual> {
    const known = this.#cluster.terminals.get(name);
    if (known === undefined) throw new StartFailedError('It is gone.', 'Try again.');
    const updated = { ...known, limits };
    if (!this.#dead) this.#cluster.put(known.key, updated);
    return updated;
  }

  async stop(key: TerminalKey): Promise<void> {
    const known = this.#cluster.terminals.get(terminalName(key));
    if (known === undefined || this.#dead) return;
    const { name, revision, fingerprint, limits, idleTimeoutMs } = known;
    const idle = { key, name, revision, fingerprint, limits, idleTimeoutMs, operated: true } as const;
    this.#cluster.put(key, { ...idle, phase: 'Idle' });
  }

  remove(key: TerminalKey): Promise<void> {
    return this.stop(key);
  }

  async close(): Promise<void> {}

  /** As the operator does: declared twice it is the same start, and whether it runs is seen by all. */
  async #bringUp(desired: Desired): Promise<RunningTerminal> {
    const { terminals, declared } = this.#cluster;
    const { key, name, revision, workload } = desired;
    const before = terminals.get(name);
    if (this.#dead) return new Promise(() => undefined);
    const same = before?.revision === revision;
    if (same && before.phase === 'Running') return before;
    const { address: _address, apiKey: _key, startedAt: _at, ...seen } = this.#cluster.running(desired);
    if (!same || before.phase === 'Idle') {
      declared.push({ user: key.user, by: this.name, image: workload.image });
      this.#cluster.put(key, { ...seen, phase: 'Provisioning', detail: 'it starts' });
    }
    const outcome = await this.#cluster.starts(desired).then(
      () => null,
      (error: unknown) => error,
    );
    // Declared otherwise meanwhile: that start is another's.
    if (terminals.get(name)?.revision !== revision)
      throw new StartFailedError('It was changed.', 'Try again.');
    if (outcome === null) {
      const running = this.#cluster.running(desired);
      this.#cluster.put(key, running);
      return this.#dead ? new Promise(() => undefined) : running;
    }
    this.#cluster.put(key, { ...seen, phase: 'Error', detail: String(outcome), recover: 'replace' });
    return this.#dead ? new Promise(() => undefined) : Promise.reject(outcome);
  }
}
