/** All contenders at once: the same container, reached in four ways. @module */
import { randomUUID } from 'node:crypto';
import { type Container, containerOf, userPrefix } from '../docker.ts';
import { freePort } from '../processes.ts';
import { type Peer, startNginx } from './nginx.ts';
import { startReplyFrom } from './reply-from.ts';
import {
  callerHeaders,
  discovered,
  sharedKey,
  startTerminals,
  type TerminalsOptions,
  type TerminalsProgram,
} from './terminals.ts';

export type Way = 'direct' | 'nginx' | 'reply-from' | 'terminals';

/** One way to the container. */
export interface Entrance {
  readonly way: Way;
  readonly url: string;
  /** What a caller sends to be let in. */
  readonly headers: Readonly<Record<string, string>>;
  /** For the first frame of a WebSocket. */
  readonly token: string;
  /** Whose CPU counts; null: there is nobody in between. */
  readonly pid: number | null;
}

/** Arguments of Node itself, e.g. for a profile. */
export interface NodeArgs {
  readonly terminals?: readonly string[];
  readonly replyFrom?: readonly string[];
}

interface Stoppable {
  stop(): Promise<void>;
}

/** So many pairs of Node programs one row is measured with. */
export const nodeProcesses = 3;

/** What of the contenders stays for a whole run. */
interface Stage {
  readonly options: TerminalsOptions;
  readonly replyFrom: { readonly port: number; readonly nodeArgs: readonly string[] | undefined };
  readonly user: string;
  readonly container: Container;
  readonly nginx: Peer;
}

/** Started once a run; the Node programs may be started anew in it. */
export class Field {
  readonly #stage: Stage;
  #terminals: TerminalsProgram;
  #replyFrom: Peer;

  private constructor(stage: Stage, terminals: TerminalsProgram, replyFrom: Peer) {
    this.#stage = stage;
    this.#terminals = terminals;
    this.#replyFrom = replyFrom;
  }

  static async start(folder: string, nodeArgs: NodeArgs = {}): Promise<Field> {
    const options = { folder, port: await freePort(), nodeArgs: nodeArgs.terminals ?? [] };
    const terminals = await startTerminals(options);
    const started: Stoppable[] = [terminals];
    try {
      await discovered(terminals);
      const user = `${userPrefix}${randomUUID().slice(0, 8)}`;
      await ask(`${terminals.url}/small`, callerHeaders(user));
      const container = await containerOf(user);
      const nginx = await startNginx(folder, await freePort(), upstreamOf(container));
      started.push(nginx);
      const replyFrom = { port: await freePort(), nodeArgs: nodeArgs.replyFrom };
      const stage = { options, replyFrom, user, container, nginx };
      return new Field(stage, terminals, await startReplyFromOf(stage));
    } catch (error) {
      // Nobody else knows of them yet.
      await Promise.all(started.map((one) => one.stop()));
      throw error;
    }
  }

  get container(): Container {
    return this.#stage.container;
  }

  get terminals(): TerminalsProgram {
    return this.#terminals;
  }

  /** All ways to the container, as the programs are now. */
  get entrances(): readonly Entrance[] {
    const { container, nginx, user } = this.#stage;
    // The bare ones pass on what they get, so that their callers bring the container's own key.
    const bare = { headers: { authorization: `Bearer ${container.key}` }, token: container.key };
    const { url, pid } = this.#terminals;
    return [
      { way: 'direct', url: `http://${upstreamOf(container)}`, pid: null, ...bare },
      { way: 'nginx', url: nginx.url, pid: nginx.pid, ...bare },
      { way: 'reply-from', url: this.#replyFrom.url, pid: this.#replyFrom.pid, ...bare },
      { way: 'terminals', url, headers: callerHeaders(user), token: sharedKey, pid },
    ];
  }

  /** Stops Terminals and starts it anew, at the same port. @returns the new one as soon as it listens */
  async restartTerminals(): Promise<TerminalsProgram> {
    await this.#terminals.stop();
    this.#terminals = await startTerminals(this.#stage.options);
    return this.#terminals;
  }

  /**
   * Starts both Node programs anew: what its compiler makes of a program differs from process to process by more than the
   * two differ.
   */
  async renewNode(): Promise<void> {
    await discovered(await this.restartTerminals());
    await this.#replyFrom.stop();
    this.#replyFrom = await startReplyFromOf(this.#stage);
  }

  async stop(): Promise<void> {
    await Promise.all([this.#stage.nginx, this.#replyFrom, this.#terminals].map((one) => one.stop()));
  }
}

function upstreamOf({ host }: Container): string {
  return `${host}:8000`;
}

function startReplyFromOf({ replyFrom, container }: Stage): Promise<Peer> {
  return startReplyFrom(replyFrom.port, upstreamOf(container), replyFrom.nodeArgs);
}

/** @throws Error for anything but 200 */
export async function ask(url: string, headers: Readonly<Record<string, string>>): Promise<void> {
  const response = await fetch(url, { headers });
  const body = await response.text();
  if (response.status !== 200) throw new Error(`${url}: ${response.status} ${body.slice(0, 300)}`);
}
