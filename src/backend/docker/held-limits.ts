/**
 * Which limits this engine holds: one for which it has no controller of the kernel's it discards with a warning, as rootless
 * engines do.
 * @module
 */
import type Docker from 'dockerode';
import type { Logger } from 'pino';
import type { Limits } from '../../terminal/terminal.ts';
import { engineCall, reasonOf } from './engine.ts';

/** What the engine says of itself; what it does not say it holds. */
interface EngineInfo {
  readonly CpuCfsQuota?: boolean;
  readonly MemoryLimit?: boolean;
  readonly PidsLimit?: boolean;
}

/** Each limit as a policy names it, and what the engine calls that it holds it. */
const fields = [
  ['cpuMillis', 'resources.limits.cpu', 'CpuCfsQuota'],
  ['memoryBytes', 'resources.limits.memory', 'MemoryLimit'],
  ['pids', 'resources.limits.pids', 'PidsLimit'],
] as const;

/** Whoever looks at a container waits so long at most. */
const askMs = 5_000;
/** After a question that came to nothing. */
const askAgainMs = 10_000;

export class HeldLimits {
  readonly #docker: Docker;
  readonly #log: Logger;
  #info: EngineInfo = {};
  #first: Promise<void> = Promise.resolve();
  /** When it is asked, the next time somebody wants to know. */
  #askAt = 0;
  #warned = false;

  constructor(docker: Docker, log: Logger) {
    this.#docker = docker;
    this.#log = log;
  }

  /**
   * Resolves when the engine has said which it holds, or did not for the first time: until it does it is taken for one that
   * holds all, and nobody waits for it again.
   */
  known(): Promise<void> {
    if (Date.now() >= this.#askAt) {
      const isFirst = this.#askAt === 0;
      this.#askAt = Number.POSITIVE_INFINITY;
      const asked = this.#ask();
      if (isFirst) this.#first = asked;
    }
    return this.#first;
  }

  /** Whether it holds this one, as far as is known. */
  holds(limit: keyof Limits): boolean {
    return fields.every(([field, , said]) => field !== limit || this.#info[said] !== false);
  }

  /** What it does not hold, as a policy names it. */
  get missing(): readonly string[] {
    return fields.filter(([limit]) => !this.holds(limit)).map(([, name]) => name);
  }

  /** Resolves with the answer, or when it has taken too long: it counts when it comes, and until then nothing else is asked. */
  async #ask(): Promise<void> {
    const answered = this.#docker.info().then(
      (info: EngineInfo) => this.#take(info),
      (error: unknown) => this.#failed(error),
    );
    await engineCall(AbortSignal.timeout(askMs), () => answered).catch((error: unknown) => this.#warn(error));
  }

  #take(info: EngineInfo): void {
    this.#info = info;
    const { missing } = this;
    if (missing.length === 0) return;
    this.#log.warn(
      { unenforced: missing },
      'this engine can not hold all limits of policies: its kernel lacks a controller, or it has no right to it',
    );
  }

  #failed(error: unknown): void {
    this.#askAt = Date.now() + askAgainMs;
    this.#warn(error);
  }

  #warn(error: unknown): void {
    if (this.#warned) return;
    this.#warned = true;
    this.#log.warn({ reason: reasonOf(error) }, 'the engine does not say which limits it holds (GET /info)');
  }
}
