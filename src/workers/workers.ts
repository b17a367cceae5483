/**
 * The workers together: started, told what they need, replaced when one ends, drained in the end.
 * @module
 */
import cluster from 'node:cluster';
import { setTimeout as delay } from 'node:timers/promises';
import type { Logger } from 'pino';
import { countsOf, type MetricsSnapshot } from '../admin/metrics.ts';
import type { PolicySet } from '../policy/policy.ts';
import { drainMs } from '../proxy/proxy-server.ts';
import { backoffMs } from '../reconcile/backoff.ts';
import { type Answers, WorkerProcess } from './worker-process.ts';

export interface WorkersOptions {
  readonly count: number;
  /** Variables of theirs beside those of this process. */
  readonly environment: Readonly<Record<string, string>>;
  readonly answers: Answers;
  /** Told when one has ended. */
  readonly left: (worker: WorkerProcess) => void;
  readonly log: Logger;
  /** One that says nothing for so long, asked twice, is ended; absent: 15 s. */
  readonly hungMs?: number | undefined;
}

/** One that served so long did not fail by its start: the next one begins at once. */
const steadyMs = 10_000;
/** Beyond what a worker gives requests that are under way. */
const lateMs = 1_000;

export class Workers {
  readonly #options: WorkersOptions;
  readonly #running = new Set<WorkerProcess>();
  readonly #restarts = new Set<NodeJS.Timeout>();
  readonly #failed = Promise.withResolvers<never>();
  readonly #listening = Promise.withResolvers<void>();
  /** What those that ended had counted, each as far as it was asked. */
  #past: MetricsSnapshot[] = [];
  #waitedFor = 0;
  #failures = 0;
  #state: 'starting' | 'serving' | 'draining' = 'starting';

  constructor(options: WorkersOptions) {
    this.#options = options;
    this.#waitedFor = options.count;
  }

  /**
   * Starts all of them; resolves when all listen.
   * @throws what the first one failed by
   */
  async start(): Promise<void> {
    // Where the primary accepts, it does so in turn, since who accepts first takes all that is there. Messages have maps and sets.
    cluster.schedulingPolicy = cluster.SCHED_RR;
    cluster.setupPrimary({ serialization: 'advanced' });
    for (let count = 0; count < this.#options.count; count += 1) this.#fork();
    await Promise.race([this.#listening.promise, this.#failed.promise]);
    this.#state = 'serving';
    void this.#watch();
  }

  /** A worker listens. */
  listening(worker: WorkerProcess): void {
    worker.serves = true;
    this.#options.log.info({ worker: worker.id, pid: worker.pid }, 'worker listens');
    this.#waitedFor -= 1;
    if (this.#waitedFor === 0) this.#listening.resolve();
  }

  /** A worker can't listen. */
  failed({ id }: WorkerProcess, error: Error): void {
    if (this.#state === 'starting') this.#failed.reject(error);
    else this.#options.log.error({ worker: id, err: error }, 'a worker can not listen');
  }

  /** Tells all of them the policies in force. */
  policies(set: PolicySet): void {
    for (const worker of this.#running) worker.policies(set);
  }

  /** Resolves when all know what they were told, and have told what they did. */
  async keepUp(): Promise<void> {
    await Promise.all([...this.#running].map((worker) => worker.keepUp()));
  }

  /** What all of them have counted, those that ended as well, so that no counter falls. */
  async counted(): Promise<readonly MetricsSnapshot[]> {
    const present = await Promise.all([...this.#running].map((worker) => worker.count()));
    return [...this.#past, ...present];
  }

  /** Lets them end what they do, and ends them. */
  async drain(): Promise<void> {
    this.#state = 'draining';
    for (const restart of this.#restarts) clearTimeout(restart);
    await Promise.all([...this.#running].map((worker) => worker.drain(drainMs + lateMs)));
  }

  get #hungMs(): number {
    return this.#options.hungMs ?? 15_000;
  }

  /** Connections still go to one that does not come round any more, and wait there. */
  async #watch(): Promise<void> {
    for (;;) {
      await delay(this.#hungMs / 2, undefined, { ref: false });
      if (this.#state === 'draining') return;
      await Promise.all([...this.#running].filter(({ serves }) => serves).map((one) => this.#endIfHung(one)));
    }
  }

  async #endIfHung(worker: WorkerProcess): Promise<void> {
    if (await worker.answers(this.#hungMs)) return;
    // Where this process was itself stopped for a while, an answer may be there and not read yet.
    if ((await worker.answers(this.#hungMs)) || !this.#running.has(worker)) return;
    const { id, pid } = worker;
    this.#options.log.error({ worker: id, pid }, 'a worker hangs and is ended');
    worker.kill();
  }

  #fork(): void {
    const { environment, answers } = this.#options;
    const worker = new WorkerProcess(cluster.fork(environment), answers);
    const began = performance.now();
    this.#running.add(worker);
    void worker.ended.then((how) => this.#ended(worker, how, performance.now() - began));
  }

  #ended(worker: WorkerProcess, how: number | string, livedMs: number): void {
    const { left, log } = this.#options;
    this.#running.delete(worker);
    this.#past = [...this.#past, countsOf(worker.counted)];
    left(worker);
    if (this.#state === 'draining') return;
    if (this.#state === 'starting') {
      this.#failed.reject(new Error(`A worker ended before it listened (${how}); its log lines say why.`));
      return;
    }
    this.#failures = livedMs >= steadyMs ? 0 : this.#failures + 1;
    const waitMs = this.#failures === 0 ? 0 : Math.round(backoffMs(this.#failures));
    log.error({ worker: worker.id, pid: worker.pid, how, waitMs }, 'a worker ended; another takes its place');
    const restart = setTimeout(() => {
      this.#restarts.delete(restart);
      this.#fork();
    }, waitMs).unref();
    this.#restarts.add(restart);
  }
}
