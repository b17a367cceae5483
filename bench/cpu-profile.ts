/** A .cpuprofile → where the time of one request went. @module */

interface CallFrame {
  readonly functionName: string;
  readonly url: string;
}

interface ProfileNode {
  readonly id: number;
  readonly callFrame: CallFrame;
  readonly children?: readonly number[];
}

export interface CpuProfile {
  readonly nodes: readonly ProfileNode[];
  /** Microseconds of the monotonic clock. */
  readonly startTime: number;
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
}

/** The first whose pattern a frame matches takes it, and everything below it that no other takes. */
const parts: readonly (readonly [part: string, pattern: RegExp])[] = [
  ['garbage collection', /^\(garbage collector\)/],
  ['idle', /^\(idle\)/],
  ['parse: the request', / .*node:(_http_server|_http_incoming|_http_common|internal\/http)/],
  ['answer: headers and body written', / .*node:_http_outgoing/],
  ['log', / .*(\/pino\/|sonic-boom|pino-std|quick-format|src\/log\.ts)/],
  ['log', /^#?line .*gateway\.ts/],
  ['auth', / .*src\/identity\//],
  ['selection: target, policy, context', / .*src\/(policy\/|proxy\/(route|target)\.ts)/],
  ['lookup: the terminal, its activity', / .*src\/reconcile\//],
  ['headers', / .*src\/proxy\/headers\.ts/],
  ['upstream: undici', / .*\/undici\/|.*node:internal\/deps\/undici/],
  ['stream: between the two', / .*src\/proxy\/forward\.ts/],
  ['gateway', / .*src\/proxy\//],
  ['reply-from', / .*reply-from\//],
  ['Fastify', / .*\/(fastify|find-my-way|avvio|light-my-request)\//],
];
const native = 'native code and the kernel: parser, sockets';

/** Microseconds a request, by part, of the samples between two times of the monotonic clock. */
export function costs(
  profile: CpuProfile,
  fromUs: number,
  toUs: number,
  requests: number,
): ReadonlyMap<string, number> {
  const partOf = parted(profile.nodes, part);
  const total = new Map<string, number>();
  each(profile, fromUs, toUs, (node, us) => {
    const name = partOf.get(node) ?? native;
    if (name !== 'idle') total.set(name, (total.get(name) ?? 0) + us / requests);
  });
  return sorted(total);
}

/** The functions with the most time of their own, in microseconds a request. */
export function functions(
  profile: CpuProfile,
  fromUs: number,
  toUs: number,
  requests: number,
): ReadonlyMap<string, number> {
  const partOf = parted(profile.nodes, part);
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const total = new Map<string, number>();
  each(profile, fromUs, toUs, (node, us) => {
    const frame = frames.get(node);
    const name = `${frame?.functionName || '(anonymous)'} ${frame?.url.split('/').slice(-2).join('/') ?? ''} (${partOf.get(node) ?? native})`;
    if (!name.startsWith('(idle)')) total.set(name, (total.get(name) ?? 0) + us / requests);
  });
  return sorted(total);
}

function part({ functionName, url }: CallFrame): string | null {
  const text = `${functionName} ${url}`;
  return parts.find(([, pattern]) => pattern.test(text))?.[0] ?? null;
}

/** Each node's own part, or the one of the nearest caller that has one. */
function parted(
  nodes: readonly ProfileNode[],
  partOf: (frame: CallFrame) => string | null,
): ReadonlyMap<number, string> {
  const byId = new Map(nodes.map((node) => [node.id, node]));
  const found = new Map<number, string>();
  const children = new Set(nodes.flatMap((node) => node.children ?? []));
  const pending = nodes
    .filter(({ id }) => !children.has(id))
    .map((node) => ({ node, above: null as string | null }));
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const own = partOf(next.node.callFrame) ?? next.above;
    if (own !== null) found.set(next.node.id, own);
    for (const id of next.node.children ?? []) {
      const child = byId.get(id);
      if (child) pending.push({ node: child, above: own });
    }
  }
  return found;
}

function each(
  { startTime, samples, timeDeltas }: CpuProfile,
  fromUs: number,
  toUs: number,
  take: (node: number, us: number) => void,
): void {
  let at = startTime;
  samples.forEach((node, index) => {
    const us = timeDeltas[index] ?? 0;
    at += us;
    if (at >= fromUs && at <= toUs) take(node, us);
  });
}

function sorted(map: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  return new Map([...map].sort(([, a], [, b]) => b - a));
}
