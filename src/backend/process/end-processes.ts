/**
 * Ending a terminal: its server and everything that was started in it.
 * @module
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { allProcesses, bornOf, environmentOf, type SystemProcess } from './processes.ts';

/** Inherited by everything a terminal starts; its value is the terminal's state folder, which no other terminal has. */
export const markerVariable = 'TERMINALS_TERMINAL';

export interface Belonging {
  readonly marker: string;
  /** The server, where known. */
  readonly leader: { readonly pid: number; readonly born: string } | null;
  /** A user id under which nothing but this terminal runs at that moment; null where there is none. */
  readonly uid: () => Promise<number | null>;
}

const graceMs = 5_000;
const pollMs = 50;
/** Something that starts new processes as fast as they are killed is given up on after this many rounds. */
const killRounds = 20;

/**
 * Asks all processes of a terminal to end, and kills those that are still there after five seconds.
 * @returns how many could not be ended
 */
export async function endProcesses(what: Belonging, signal: AbortSignal): Promise<number> {
  const asked = await processesOf(what);
  if (asked.length === 0) return 0;
  send(asked, 'SIGTERM');
  const until = performance.now() + graceMs;
  while ((await stillThere(asked)).length > 0 && performance.now() < until && !signal.aborted)
    await sleep(pollMs);
  for (let round = 1; ; round += 1) {
    const left = merge(await processesOf(what), await stillThere(asked));
    if (left.length === 0 || round === killRounds) return left.length;
    send(left, 'SIGKILL');
    await sleep(pollMs);
  }
}

/** All processes of a terminal: by marker, by descent from one that has it, by session, and by user id. */
export async function processesOf(what: Belonging): Promise<readonly SystemProcess[]> {
  const { marker, leader } = what;
  const [all, uid] = await Promise.all([allProcesses(), what.uid()]);
  const entry = `${markerVariable}=${marker}`;
  const marked = await Promise.all(all.map(async ({ pid }) => (await environmentOf(pid)).includes(entry)));
  const ours = new Set<number>();
  for (const [index, { pid, born, ...process }] of all.entries()) {
    const led =
      leader !== null && (pid === leader.pid ? born === leader.born : process.session === leader.pid);
    if (marked[index] || led || (uid !== null && process.uid === uid)) ours.add(pid);
  }
  for (let before = -1; before !== ours.size; ) {
    before = ours.size;
    for (const { pid, parent } of all) if (ours.has(parent)) ours.add(pid);
  }
  ours.delete(process.pid);
  return all.filter(({ pid }) => ours.has(pid));
}

async function stillThere(processes: readonly SystemProcess[]): Promise<readonly SystemProcess[]> {
  const alive = await Promise.all(processes.map(async ({ pid, born }) => (await bornOf(pid)) === born));
  return processes.filter((_, index) => alive[index]);
}

function merge(some: readonly SystemProcess[], others: readonly SystemProcess[]): readonly SystemProcess[] {
  return [...new Map([...some, ...others].map((one) => [one.pid, one])).values()];
}

function send(processes: readonly SystemProcess[], signal: 'SIGTERM' | 'SIGKILL'): void {
  for (const { pid } of processes) {
    try {
      process.kill(pid, signal);
    } catch {
      // It has ended meanwhile, or is not ours to end; whether it is gone is looked at afterwards.
    }
  }
}
