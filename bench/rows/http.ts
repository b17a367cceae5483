/** Small requests: GET of 1 KB at several numbers of connections, POST of 1 KB JSON. @module */
import { fileURLToPath } from 'node:url';
import { type Entrance, type Field, nodeProcesses } from '../contenders/field.ts';
import type { Context, RowGroup } from '../context.ts';
import { cpuUsed, load } from '../processes.ts';

const script = fileURLToPath(new URL('../wrk.lua', import.meta.url));
const json = JSON.stringify({ command: 'x'.repeat(1024 - '{"command":""}'.length) });

interface HttpRow {
  readonly row: string;
  readonly title: string;
  readonly connections: number;
  readonly path: string;
  readonly body: string | null;
  /** A round of a Node program: an iteration of its loop accepts one connection, so that opening many takes a while. */
  readonly seconds?: number;
}

const rows: readonly HttpRow[] = [
  ...[1, 16, 64, 256].map((connections) => ({
    row: `get-${connections}`,
    title: `GET 1 KB, ${connections} connection${connections === 1 ? '' : 's'}`,
    connections,
    path: '/small',
    body: null,
    // wrk counts for whom a request waited what it would have sent meanwhile: in one second, 64 that open at once are its p99.
    ...(connections === 64 ? { seconds: 3 } : {}),
  })),
  { row: 'post-64', title: 'POST 1 KB JSON, 64 connections', connections: 64, path: '/echo', body: json },
];

/** With each pair of Node programs. */
const rounds = 2;

export const http: RowGroup = {
  name: 'http',
  rows: rows.map(({ row }) => row),
  async run(context) {
    const field = await context.field();
    const wanted = rows.filter(({ row }) => context.wants('http', row));
    // A quick run has no time for rows that go the same way as others.
    const chosen = wanted.filter(({ row }) => !context.quick || row === 'get-64');
    for (let process = 0; process < context.pick(nodeProcesses, 1); process += 1) {
      if (process > 0) await field.renewNode();
      if (!context.quick && chosen[0]) await warmUp(field, chosen[0], 2);
      for (const row of chosen) {
        if (!context.quick) await warmUp(field, row, 1);
        for (let round = 0; round < context.pick(rounds, 1); round += 1) {
          for (const entrance of field.entrances) await measure(context, row, entrance);
        }
      }
    }
  },
};

/** Until V8 has compiled what is used often, a request costs twice as much. */
async function warmUp({ entrances }: Field, row: HttpRow, seconds: number): Promise<void> {
  for (const entrance of entrances) if (isNode(entrance)) await wrk(row, entrance, seconds);
}

function isNode({ way }: Entrance): boolean {
  return way === 'reply-from' || way === 'terminals';
}

async function measure(context: Context, row: HttpRow, entrance: Entrance): Promise<void> {
  const { measurements } = context;
  const { title, seconds = 1 } = row;
  const { rate, p50, p99, cpu } = await wrk(row, entrance, isNode(entrance) ? context.pick(seconds, 1) : 1);
  measurements.add({ id: `${row.row}.rate`, title, unit: 'requests/s', better: 'more' }, entrance.way, rate);
  measurements.add(
    { id: `${row.row}.p50`, title: `${title}, p50`, unit: 'ms', better: 'less' },
    entrance.way,
    p50,
  );
  measurements.add(
    { id: `${row.row}.p99`, title: `${title}, p99`, unit: 'ms', better: 'less' },
    entrance.way,
    p99,
  );
  if (cpu === null) return;
  measurements.add(
    { id: `${row.row}.cpu`, title: `${title}, CPU of the proxy`, unit: 'µs/request', better: 'less' },
    entrance.way,
    cpu,
  );
}

interface WrkResult {
  readonly rate: number;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Microseconds of the proxy's CPU for one request: unlike rates, hardly changed by what else the machine does. */
  readonly cpu: number | null;
}

/** @throws Error when a request failed or was not answered by a 2xx or 3xx */
export async function wrk(
  row: Pick<HttpRow, 'connections' | 'path' | 'body'>,
  entrance: Entrance,
  seconds: number,
): Promise<WrkResult> {
  const headers = Object.entries(entrance.headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const args = ['-t1', `-c${row.connections}`, `-d${seconds}s`, '--timeout', '10s', '-s', script, ...headers];
  const variables = row.body === null ? [] : [`WRK_BODY=${row.body}`];
  const before = entrance.pid === null ? 0 : cpuUsed(entrance.pid);
  const out = await load('env', [...variables, 'wrk', ...args, `${entrance.url}${row.path}`]);
  const { requests, us, p50, p99, failed } = parse(out);
  if (failed > 0) throw new Error(`${entrance.way}: ${failed} of ${requests} requests failed`);
  const cpu = entrance.pid === null ? null : ((cpuUsed(entrance.pid) - before) * 1000) / requests;
  return { rate: (requests / us) * 1e6, p50: p50 / 1000, p99: p99 / 1000, cpu };
}

function parse(out: string): Record<'requests' | 'us' | 'p50' | 'p99' | 'failed', number> {
  const line = /^wrk:(.*)$/m.exec(out)?.[1];
  if (line === undefined) throw new Error(`wrk said:\n${out}`);
  return JSON.parse(line);
}
