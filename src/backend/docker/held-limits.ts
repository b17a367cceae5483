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
  #asked: Promise<void> = Promise.resolve();
  /** When it is asked, the next time somebody wants to know. */
  #askAt = 0;
  #warned = false;

  constructor(docker: Docker, log: Logger) {
    this.#docker = docker;
    this.#log = log;
  }

  /** Resolves when the engine has said which it holds, or can't say for now: then it is taken for one that holds all. */
  known(): Promise<void> {
    if (Date.now() >= this.#askAt) {
      this.#askAt = Number.POSITIVE_INFINITY;
      this.#asked = this.#ask();
    }
    return this.#asked;
  }

  /** Whether it holds this one, as far as is known. */
  holds(limit: keyof Limits): boolean {
    return fields.every(([field, , said]) => field !== limit || this.#info[said] !== false);
  }

  /** What it does not hold, as a policy names it. */
  get missing(): readonly string[] {
    return fields.filter(([limit]) => !this.holds(limit)).map(([, name]) => name);
  }

  async #ask(): Promise<void> {
    try {
      this.#info = await engineCall(AbortSignal.timeout(askMs), () => this.#docker.info());
    } catch (error) {
      this.#askAt = Date.now() + askAgainMs;
      if (!this.#warned) {
        this.#warned = true;
        this.#log.warn(
          { reason: reasonOf(error) },
          'the engine does not say which limits it holds (GET /info)',
        );
      }
      return;
    }
    const { missing } = this;
    if (missing.length === 0) return;
    this.#log.warn(
      { unenforced: missing },
      'this engine can not hold all limits of policies: its kernel lacks a controller, or it has no right to it',
    );
  }
}
