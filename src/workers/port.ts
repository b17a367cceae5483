/**
 * One port for all workers: where the kernel can, each listens there for itself and gets its share of the connections
 * (SO_REUSEPORT, socket(7)). Elsewhere the primary accepts them and hands them over, which costs as much as a request.
 * @module
 */
import { once } from 'node:events';
import net from 'node:net';
import { type ListenOptions, portOf } from '../proxy/proxy-server.ts';

/** How a worker listens, beside where. */
export const workersListen = process.platform === 'linux' ? { exclusive: true, reusePort: true } : {};

/**
 * The port, where nobody else listens at it: a second program of the same user would be let in beside the first, and each
 * would get half of the calls.
 * @throws what `listen` fails by, e.g. EADDRINUSE
 */
export async function portAlone({ host, port }: Pick<ListenOptions, 'host' | 'port'>): Promise<number> {
  const server = net.createServer().listen({ host, port, exclusive: true });
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return portOf(address);
}
