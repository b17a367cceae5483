/** `terminals policies --server`: how far each policy is, once or as a live table. @module */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Condition } from '../reconcile/policy-status.ts';
import type { Io } from './command.ts';
import { type Server, ServerError } from './server.ts';
import { type Cell, printable, renderTable, titles } from './table.ts';

/** The status of a policy as the server answers it. */
export interface StatusAnswer {
  readonly conditions: readonly Condition[];
  readonly observed_revision: string;
  readonly observed_source: string | null;
  readonly stall: { readonly terminal: string; readonly last_lines: readonly string[] } | null;
  readonly desired: number;
  readonly updated: number;
  readonly available: number;
  readonly idle: number;
  readonly warm: number;
}

interface PolicyAnswer {
  readonly id: string;
  readonly status: StatusAnswer;
}

const watchMs = 2_000;
/** Of a log, in the table; the rest is in its JSON. */
const mostLines = 5;

/** The table, or all that the server says as JSON. */
export async function showStatuses(server: Server, json: boolean, io: Io): Promise<void> {
  const all = await ask(server);
  io.out(json ? `${JSON.stringify(all, null, 2)}\n` : tableOf(all, io));
}

/**
 * Until the signal aborts: on a terminal the table is drawn in place, elsewhere the lines that changed are added. A server
 * that does not answer for a while is said, and asked again.
 */
export async function watchStatuses(server: Server, io: Io): Promise<void> {
  const screen = io.live ? new InPlace(io) : new Appended(io);
  try {
    while (!io.signal.aborted) {
      try {
        screen.show(tableOf(await ask(server), io));
      } catch (error) {
        if (io.signal.aborted) return;
        if (!(error instanceof ServerError)) throw error;
        screen.show(`${error.message}\n`);
      }
      await sleep(watchMs, undefined, { signal: io.signal }).catch(() => undefined);
    }
  } finally {
    screen.end();
  }
}

/** "Stalled (RolloutFailed): …". */
export function summaryOfStatus({ conditions }: StatusAnswer): string {
  const {
    type = 'Ready',
    reason = '',
    message = '',
  } = conditions.find(({ status }) => status === 'True') ?? {};
  return `${type} (${reason}): ${message}`;
}

async function ask(server: Server): Promise<readonly PolicyAnswer[]> {
  return (await server.call('GET', '/policies')) as readonly PolicyAnswer[];
}

const styles = { Ready: 'green', Reconciling: 'yellow', Stalled: 'red' } as const;

function tableOf(all: readonly PolicyAnswer[], io: Io): string {
  const rows = all.map(({ id, status }): readonly Cell[] => {
    const { conditions, desired, updated, available, idle, warm, observed_revision, observed_source } =
      status;
    const holds = conditions.find((each) => each.status === 'True');
    const state: Cell = holds ? { text: holds.type, style: styles[holds.type] } : '';
    const counts = [desired, updated, available, idle, warm].map(String);
    const since = holds?.lastTransitionTime.replace(/\.\d+Z$/, 'Z') ?? '';
    const revision = (observed_source ?? observed_revision).slice(0, 12);
    return [id, state, holds?.reason ?? '', ...counts, revision, since, holds?.message ?? ''];
  });
  const columns = titles(
    'NAME',
    'STATE',
    'REASON',
    'DESIRED',
    'UPDATED',
    'AVAILABLE',
    'IDLE',
    'WARM',
    'REVISION',
    'SINCE',
    'MESSAGE',
  );
  return [renderTable(columns, rows, io), ...all.map(({ status: { stall } }) => linesOf(stall))].join('');
}

/** The end of what a terminal wrote for which a rollout stalled. */
function linesOf(stall: StatusAnswer['stall']): string {
  if (stall === null || stall.last_lines.length === 0) return '';
  const lines = stall.last_lines.slice(-mostLines).map((line) => `  ${printable(line)}\n`);
  return `\n${stall.terminal} wrote:\n${lines.join('')}`;
}

interface Screen {
  show(text: string): void;
  end(): void;
}

/** Over what was drawn last; long lines are cut by the terminal, so that each stays one. */
class InPlace implements Screen {
  readonly #io: Io;
  #lines = 0;

  constructor(io: Io) {
    this.#io = io;
    io.out('\u001b[?25l');
  }

  show(text: string): void {
    const up = this.#lines === 0 ? '' : `\u001b[${this.#lines}A\r`;
    this.#io.out(`\u001b[?7l${up}\u001b[J${text}\u001b[?7h`);
    this.#lines = text.split('\n').length - 1;
  }

  end(): void {
    this.#io.out('\u001b[?25h');
  }
}

/** For a file or a pipe: the head once, then each line that was not there in the table before. */
class Appended implements Screen {
  readonly #io: Io;
  #before = new Set<string>();

  constructor(io: Io) {
    this.#io = io;
  }

  show(text: string): void {
    // Widths change with what is in a column, which is no news.
    const lines = text.split('\n').filter((line) => line !== '');
    const essence = (line: string) => line.replaceAll(/ {2,}/g, '  ');
    for (const line of lines) if (!this.#before.has(essence(line))) this.#io.out(`${line}\n`);
    this.#before = new Set(lines.map(essence));
  }

  end(): void {}
}
