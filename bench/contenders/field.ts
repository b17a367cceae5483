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

/** Started once a run; Terminals alone may be restarted in it. */
export class Field {
  readonly entrances: readonly Entrance[];
  readonly container: Container;
  readonly #options: TerminalsOptions;
  readonly #peers: readonly Peer[];
  #terminals: TerminalsProgram;

  private constructor(
    options: TerminalsOptions,
    terminals: TerminalsProgram,
    container: Container,
    peers: readonly Peer[],
    entrances: readonly Entrance[],
  ) {
    this.#options = options;
    this.#terminals = terminals;
    this.container = container;
    this.#peers = peers;
    this.entrances = entrances;
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
      const upstream = `${container.host}:8000`;
      const nginx = await startNginx(folder, await freePort(), upstream);
      started.push(nginx);
      const replyFrom = await startReplyFrom(await freePort(), upstream, nodeArgs.replyFrom);
      // The bare ones pass on what they get, so that their callers bring the container's own key.
      const bare = { headers: { authorization: `Bearer ${container.key}` }, token: container.key };
      const entrances: readonly Entrance[] = [
        { way: 'direct', url: `http://${upstream}`, pid: null, ...bare },
        { way: 'nginx', url: nginx.url, pid: nginx.pid, ...bare },
        { way: 'reply-from', url: replyFrom.url, pid: replyFrom.pid, ...bare },
        {
          way: 'terminals',
          url: terminals.url,
          headers: callerHeaders(user),
          token: sharedKey,
          pid: terminals.pid,
        },
      ];
      return new Field(options, terminals, container, [nginx, replyFrom], entrances);
    } catch (error) {
      // Nobody else knows of them yet.
      await Promise.all(started.map((one) => one.stop()));
      throw error;
    }
  }

  get terminals(): TerminalsProgram {
    return this.#terminals;
  }

  /** Stops Terminals and starts it anew, at the same port. @returns the new one as soon as it listens */
  async restartTerminals(): Promise<TerminalsProgram> {
    await this.#terminals.stop();
    this.#terminals = await startTerminals(this.#options);
    return this.#terminals;
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#peers, this.#terminals].map((one) => one.stop()));
  }
}

/** @throws Error for anything but 200 */
export async function ask(url: string, headers: Readonly<Record<string, string>>): Promise<void> {
  const response = await fetch(url, { headers });
  const body = await response.text();
  if (response.status !== 200) throw new Error(`${url}: ${response.status} ${body.slice(0, 300)}`);
}
