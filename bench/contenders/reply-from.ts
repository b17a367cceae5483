/** Bare Fastify with @fastify/reply-from, in a process of its own by the same Node. @module */
import { fileURLToPath } from 'node:url';
import { end, start } from '../processes.ts';
import { accepting, type Peer } from './nginx.ts';

const script = fileURLToPath(new URL('reply-from-server.ts', import.meta.url));

export async function startReplyFrom(
  port: number,
  upstream: string,
  nodeArgs: readonly string[] = [],
): Promise<Peer> {
  const args = [...nodeArgs, script, String(port), `http://${upstream}`];
  const child = start(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  await accepting(port, 'reply-from listens');
  return { url: `http://127.0.0.1:${port}`, pid: child.pid ?? 0, stop: () => end(child) };
}
