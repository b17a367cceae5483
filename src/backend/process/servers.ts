/**
 * The servers that run now: found by their records, ended with everything they started.
 * @module
 */
import type { Logger } from 'pino';
import { terminalName } from '../../terminal/names.ts';
import type { TerminalName } from '../../terminal/terminal.ts';
import { endProcesses, processesOf } from './end-processes.ts';
import { bornOf, environmentOf } from './processes.ts';
import type { States, TerminalRecord } from './state.ts';

export type Server = NonNullable<TerminalRecord['server']>;

export class Servers {
  readonly #states: States;
  readonly #log: Logger;

  constructor(states: States, log: Logger) {
    this.#states = states;
    this.#log = log;
  }

  /**
   * The server of a record, null if it does not run. Also one whose start was never written down, because we ended right
   * after it.
   */
  async find({ key, server, starting }: TerminalRecord): Promise<Server | null> {
    if (server !== null) return (await bornOf(server.pid)) === server.born ? server : null;
    if (!starting) return null;
    const name = terminalName(key);
    const marked = await processesOf({
      marker: await this.#states.marker(name),
      leader: null,
      uid: async () => null,
    });
    const apiKey = `OPEN_TERMINAL_API_KEY=${await this.#states.apiKey(name)}`;
    for (const { pid, session, born } of marked) {
      // Only the server itself has the key: it keeps it from what it starts.
      if (session === pid && (await environmentOf(pid)).includes(apiKey)) return { pid, born };
    }
    return null;
  }

  /** Ends everything that runs in a terminal; nothing there is no error. */
  async end(name: TerminalName, record: TerminalRecord | null, signal: AbortSignal): Promise<void> {
    const left = await endProcesses(
      {
        marker: await this.#states.marker(name),
        leader: record?.server ?? null,
        uid: () => this.#uidOfNoOther(name, record),
      },
      signal,
    );
    if (left > 0)
      this.#log.warn({ terminal: name, processes: left }, 'processes of the terminal could not be ended');
  }

  /** Its uid, unless another terminal of the same user runs under it now. */
  async #uidOfNoOther(name: TerminalName, record: TerminalRecord | null): Promise<number | null> {
    if (record === null || record.uid === null) return null;
    for (const other of await this.#states.all()) {
      if (other.uid !== record.uid || terminalName(other.key) === name) continue;
      if (other.starting || (await this.find(other)) !== null) return null;
    }
    return record.uid;
  }
}
