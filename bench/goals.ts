/** What is to be reached, each as a figure of this run and a bound. @module */
import type { Contender, Measurements } from './measurement.ts';
import { paired, type Summary, summary } from './statistics.ts';

export interface Goal {
  readonly what: string;
  /** The bound in words. */
  readonly goal: string;
  /** One value a round; empty where it was not measured. */
  readonly values: (found: Measurements) => readonly number[];
  readonly meets: (median: number) => boolean;
  readonly unit: string;
}

export interface Verdict {
  readonly what: string;
  readonly goal: string;
  readonly unit: string;
  /** null: not measured in this run. */
  readonly found: Summary | null;
  /** By the median; null: not measured. */
  readonly met: boolean | null;
  /** How many rounds say the same as the median, of how many: few of them, and it is noise that decides. */
  readonly agreeing: readonly [rounds: number, of: number];
}

const MiB = 'MiB';

export const goals: readonly Goal[] = [
  ratio('GET 1 KB, 64 connections, over reply-from', 'get-64.rate', 'reply-from', '≥', 1),
  ratio('GET 1 KB, 64 connections, over nginx', 'get-64.rate', 'nginx', '≥', 0.5),
  {
    what: 'latency p50 added at 1 connection, over what reply-from adds',
    goal: '≤ 1.15 ×',
    unit: '×',
    values: addedLatency,
    meets: (value) => value <= 1.15,
  },
  ratio('p99 at 64 connections, over reply-from', 'get-64.p99', 'reply-from', '≤', 1.3),
  ratio('POST 1 KB JSON, 64 connections, over reply-from', 'post-64.rate', 'reply-from', '≥', 1),
  ratio('64 MiB down, over reply-from', 'down.rate', 'reply-from', '≥', 1),
  ratio('64 MiB up, over reply-from', 'up.rate', 'reply-from', '≥', 1),
  ratio('64 MiB echoed while uploading, over reply-from', 'echo.rate', 'reply-from', '≥', 1),
  ratio(
    'GET 1 KB, 64 connections, CPU a request by 2 workers, over one process',
    'workers-64.cpu',
    'one process',
    '≤',
    1.05,
  ),
  ratio('the same, 256 connections', 'workers-256.cpu', 'one process', '≤', 1.05),
  ratio('the same, a connection each as Open WebUI does', 'workers-close.cpu', 'one process', '≤', 1.2),
  bound('a connection each, share of the busier of 2 workers', 'workers-close.share', '≤', 0.55, ''),
  bound('64 MiB down, memory on top', 'down.memory', '<', 16, MiB),
  bound('64 MiB up, memory on top', 'up.memory', '<', 16, MiB),
  bound('64 MiB echoed, memory on top', 'echo.memory', '<', 16, MiB),
  ratio('WebSocket echo p50, 1 socket, over direct', 'ws-1.p50', 'direct', '≤', 1.5),
  bound('memory of an idle WebSocket, both sides', 'ws-idle.memory', '≤', 24, 'KiB'),
  ratio('first request from nothing, over docker run', 'first.ms', 'docker run', '≤', 1.1),
  ratio("50 users' first requests at once, over docker run", 'fifty.ms', 'docker run', '≤', 1.2),
  bound('first request where one is warm', 'warm.ms', '<', 100, 'ms'),
  ratio('container killed → served, over a fresh docker run', 'killed.ms', 'docker run', '<', 1.2),
  ratio('container removed → served, over a fresh docker run', 'removed.ms', 'docker run', '<', 1.2),
  {
    what: 'container paused: rounds that were answered by something else than a clear 504',
    goal: '0',
    unit: '',
    // Every single round counts here, so that a median would hide what is wrong.
    values: (found) => {
      const statuses = found.of('paused.status', 'terminals');
      return statuses.length === 0 ? [] : [statuses.filter((status) => status !== 504).length];
    },
    meets: (value) => value === 0,
  },
  {
    what: 'p50 added by a cached OIDC token, over the shared key',
    goal: '< 50 µs',
    unit: 'µs',
    values: (found) =>
      paired(
        found.of('token.p50', 'terminals'),
        found.of('token.p50', 'shared key'),
        (a, b) => (a - b) * 1000,
      ),
    meets: (value) => value < 50,
  },
  bound('list of 10,000 terminals, one page', 'list.ms', '<', 20, 'ms'),
  bound('calls to the engine while listing', 'list.calls', '<', 1, ''),
  bound('restart with 200 running terminals → all answer', 'restart.ms', '<', 1000, 'ms'),
  bound('reconcile pass, 10,000 terminals', 'pass.cpu', '<', 50, 'ms CPU'),
  bound('policy edit, 10,000 terminals', 'edit.cpu', '<', 250, 'ms CPU'),
  bound('policy edit, longest block of the event loop', 'edit.block', '<', 20, 'ms'),
  {
    what: 'idle expiry among 100,000, over among 1,000: O(log n)',
    goal: '≤ 4 ×',
    unit: '×',
    values: (found) =>
      paired(
        found.of('expiry-100000.us', 'terminals'),
        found.of('expiry-1000.us', 'terminals'),
        (a, b) => a / b,
      ),
    meets: (value) => value <= 4,
  },
  bound('memory with 10,000 known terminals', 'known.memory', '<', 150, MiB),
  bound('start → listening', 'start.ms', '<', 400, 'ms'),
  overBarePod('cluster: first request from nothing, over a bare Pod', 'pod-first.ms'),
  overBarePod('cluster: an idle terminal woken, over a bare Pod', 'pod-woken.ms'),
  ...(['operator', 'orchestrator'] as const).flatMap((side) => [
    bound(`${side}, 5,000 Terminals: start → synced`, `terminals-5000.${side}-ready`, '<', 15_000, 'ms'),
    bound(`${side}: most memory of all`, `terminals-5000.${side}-peak`, '<', 400, MiB),
    bound(`${side}: writes at a start`, `terminals-5000.${side}-start-writes`, '≤', 0, ''),
    bound(`${side}: writes at a resync`, `terminals-5000.${side}-resync-writes`, '≤', 0, ''),
  ]),
  bound('policy edit: specs not written exactly once', 'terminals-5000.edit-wrong', '≤', 0, ''),
];

/** What Terminals adds to the direct way, over what reply-from adds to it. */
function addedLatency(found: Measurements): readonly number[] {
  const direct = found.of('get-1.p50', 'direct');
  const added = (contender: Contender) => paired(found.of('get-1.p50', contender), direct, (a, b) => a - b);
  return paired(added('terminals'), added('reply-from'), (a, b) => a / b);
}

function ratio(what: string, id: string, over: Contender, sign: '≥' | '≤' | '<', factor: number): Goal {
  return {
    what,
    goal: `${sign} ${factor} ×`,
    unit: '×',
    values: (found) => paired(found.of(id, 'terminals'), found.of(id, over), (a, b) => a / b),
    meets: (value) => (sign === '≥' ? value >= factor : sign === '≤' ? value <= factor : value < factor),
  };
}

function bound(what: string, id: string, sign: '≤' | '<', limit: number, unit: string): Goal {
  return {
    what,
    goal: `${sign} ${limit} ${unit}`.trim(),
    unit,
    values: (found) => found.of(id, 'terminals'),
    meets: (value) => (sign === '≤' ? value <= limit : value < limit),
  };
}

function overBarePod(what: string, id: string): Goal {
  return {
    what,
    goal: '< 700 ms more',
    unit: 'ms more',
    values: (found) => paired(found.of(id, 'terminals'), found.of(id, 'bare Pod'), (a, b) => a - b),
    meets: (value) => value < 700,
  };
}

/** Each goal by the median of its rounds. */
export function judge(found: Measurements): readonly Verdict[] {
  return goals.map(({ what, goal, unit, values, meets }) => {
    const rounds = values(found).filter(Number.isFinite);
    if (rounds.length === 0) return { what, goal, unit, found: null, met: null, agreeing: [0, 0] };
    const figures = summary(rounds);
    const met = meets(figures.median);
    const agreeing = rounds.filter((value) => meets(value) === met).length;
    return { what, goal, unit, found: figures, met, agreeing: [agreeing, rounds.length] };
  });
}
