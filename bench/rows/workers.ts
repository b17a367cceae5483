/**
 * Two workers beside one process, each started in turn before the same container. Where load and upstream share the cores
 * with them the rate can't double; CPU a request, and how evenly the workers share it, say how far it would.
 * @module
 */
import { readFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { ask, type Entrance } from '../contenders/field.ts';
import { callerHeaders, discovered, sharedKey, startTerminals } from '../contenders/terminals.ts';
import type { Context, RowGroup } from '../context.ts';
import { userPrefix } from '../docker.ts';
import { cpuUsed, freePort } from '../processes.ts';
import { wrk } from './http.ts';

const user = `${userPrefix}workers`;

interface Load {
  readonly row: string;
  readonly title: string;
  readonly connections: number;
  /** Beside those of the caller. */
  readonly headers: Readonly<Record<string, string>>;
}

const loads: readonly Load[] = [
  { row: 'workers-64', title: 'GET 1 KB, 64 connections, 2 workers', connections: 64, headers: {} },
  { row: 'workers-256', title: 'GET 1 KB, 256 connections, 2 workers', connections: 256, headers: {} },
  {
    row: 'workers-close',
    title: 'GET 1 KB, 64 at once, a connection each, 2 workers',
    connections: 64,
    headers: { connection: 'close' },
  },
];

export const workers: RowGroup = {
  name: 'workers',
  rows: loads.map(({ row }) => row),
  async run(context) {
    const folder = path.join(context.folder, 'workers');
    await mkdir(folder, { recursive: true });
    for (let round = 0; round < context.pick(3, 1); round += 1) {
      for (const count of [1, 2] as const) await measure(context, folder, count);
    }
  },
};

/** One after the other, since an engine has one program that runs its terminals. */
async function measure(context: Context, folder: string, count: 1 | 2): Promise<void> {
  const variables = { TERMINALS_WORKERS: String(count) };
  const terminals = await startTerminals({ folder, port: await freePort(), variables });
  try {
    await discovered(terminals);
    const headers = callerHeaders(user);
    await ask(`${terminals.url}/small`, headers);
    const wanted = loads.filter(({ row }) => context.wants('workers', row));
    const { pid, url } = terminals;
    const entrance: Entrance = { way: 'terminals', url, pid, headers, token: sharedKey };
    // Each worker has a part of the requests by which V8 learns.
    if (!context.quick) await wrk({ connections: 64, path: '/small', body: null }, entrance, 4);
    // A quick run has no time for more of the same.
    for (const load of context.pick(wanted, wanted.slice(0, 1))) {
      const withLoad = { ...entrance, headers: { ...headers, ...load.headers } };
      await measureLoad(context, load, withLoad, count);
    }
  } finally {
    await terminals.stop();
  }
}

async function measureLoad(context: Context, load: Load, entrance: Entrance, count: 1 | 2) {
  const { measurements } = context;
  const { row, title, connections } = load;
  const contender = count === 1 ? 'one process' : 'terminals';
  const request = { connections, path: '/small', body: null };
  if (!context.quick) await wrk(request, entrance, 1);
  const before = cpuOfChildren(entrance.pid ?? 0);
  const { rate, p99, cpu } = await wrk(request, entrance, context.pick(2, 1));
  const used = cpuOfChildren(entrance.pid ?? 0).map((ms, index) => ms - (before[index] ?? 0));
  measurements.add({ id: `${row}.rate`, title, unit: 'requests/s', better: 'more' }, contender, rate);
  measurements.add({ id: `${row}.p99`, title: `${title}, p99`, unit: 'ms', better: 'less' }, contender, p99);
  if (cpu !== null) {
    const what = {
      id: `${row}.cpu`,
      title: `${title}, CPU of all processes`,
      unit: 'µs/request',
      better: 'less',
    } as const;
    measurements.add(what, contender, cpu);
  }
  if (count === 1) return;
  const share = Math.max(...used) / used.reduce((sum, ms) => sum + ms, 0);
  const busier = {
    id: `${row}.share`,
    title: `${title}, share of the busier one`,
    unit: '',
    better: 'less',
  } as const;
  measurements.add(busier, contender, share);
}

/** Milliseconds of CPU of each worker. */
function cpuOfChildren(pid: number): readonly number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
    .trim()
    .split(' ')
    .filter(Boolean);
  return children.map((child) => cpuUsed(Number(child)));
}
