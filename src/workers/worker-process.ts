/** One worker, as the primary has it. @module */
import type { Worker } from 'node:cluster';
import type { MetricsSnapshot } from '../admin/metrics.ts';
import { ShuttingDownError } from '../errors.ts';
import type { PolicySet } from '../policy/policy.ts';
import { Channel, type Handlers } from './channel.ts';
import type { Holder } from './leases.ts';
import type { Grant, ToPrimary, ToWorker } from './protocol.ts';

/** A worker answers at once, unless its event loop is blocked. */
const answerMs = 5_000;
/** Somebody waits for this one. */
const promptMs = 1_000;

/** What answers a worker's calls. */
export type Answers = (worker: WorkerProcess) => Handlers<ToPrimary>;

export class WorkerProcess implements Holder {
  readonly id: number;
  readonly pid: number | undefined;
  readonly #process: Worker;
  readonly #channel: Channel<ToWorker, ToPrimary>;
  /** How it ended: an exit code, the signal that ended it, or why there is no process. */
  readonly ended: Promise<number | string>;
  /** It listens; one that still loads answers nothing, and has nothing to say. */
  serves = false;
  /** What it had counted when it was asked last. */
  counted: MetricsSnapshot = [];

  constructor(process: Worker, answers: Answers) {
    this.id = process.id;
    this.pid = process.process.pid;
    this.#process = process;
    // One that is about to end takes no message; its end says so.
    this.#channel = new Channel((message) => process.send(message, () => undefined), answers(this));
    process.on('message', (message) => this.#channel.receive(message));
    this.ended = new Promise((resolve) => {
      process.once('exit', (code, signal) => resolve(signal ?? code));
      process.on('error', (error) => {
        this.kill();
        resolve(error.message);
      });
    });
    void this.ended.then(() => this.#channel.close(new ShuttingDownError()));
  }

  policies(set: PolicySet): void {
    // What is wrong with others is nothing to those that serve.
    this.#channel.tell('policies', { ...set, problems: [] });
  }

  granted(grant: Grant): void {
    this.#channel.tell('granted', grant);
  }

  gone(lease: number): void {
    this.#channel.tell('gone', lease);
  }

  recall(lease: number): Promise<void> {
    return this.#channel.ask('recall', lease, AbortSignal.timeout(answerMs));
  }

  /** Resolves when it knows all that it was told; one that is too busy is left behind. */
  async keepUp(): Promise<void> {
    if (this.serves) await this.answers(promptMs);
  }

  /** Whether it says something within the time. */
  async answers(withinMs: number): Promise<boolean> {
    const asked = this.#channel.ask('keepUp', null, AbortSignal.timeout(withinMs));
    return asked.then(
      () => true,
      () => false,
    );
  }

  /** Ends it at once. */
  kill(): void {
    this.#process.process.kill('SIGKILL');
  }

  /** What it counted; what it had counted before, where it is too busy to say. */
  async count(): Promise<MetricsSnapshot> {
    if (!this.serves) return this.counted;
    const asked = this.#channel.ask('metrics', null, AbortSignal.timeout(promptMs));
    this.counted = await asked.catch(() => this.counted);
    return this.counted;
  }

  /** Lets it end what it does; it is ended after `limitMs`. */
  async drain(limitMs: number): Promise<void> {
    this.#channel.tell('drain', null);
    const late = setTimeout(() => this.kill(), limitMs).unref();
    await this.ended;
    clearTimeout(late);
  }
}
