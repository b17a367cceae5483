/**
 * In front of the API server, for one process: passes everything on, and keeps what was written. Exact, and by object, as
 * no metric of the API server is.
 * @module
 */
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { BenchCluster } from './cluster.ts';

/** One request that changes something. */
export interface Write {
  readonly method: string;
  /** Of the object, without the query. */
  readonly path: string;
}

export interface CountingProxy {
  readonly url: string;
  /** Writes so far, oldest first. */
  readonly writes: readonly Write[];
  close(): Promise<void>;
}

/** Of the object in a body: the path of a POST ends before it. */
async function nameIn(request: http.IncomingMessage): Promise<string> {
  let text = '';
  request.on('data', (chunk: Buffer) => {
    text += chunk.toString('utf8');
  });
  await once(request, 'end');
  return /"name":"([^"]*)"/.exec(text)?.[1] ?? '';
}

export async function countingProxy(cluster: BenchCluster): Promise<CountingProxy> {
  const tls: https.RequestOptions = {};
  await cluster.config.applyToHTTPSOptions(tls);
  const { ca, cert, key, rejectUnauthorized } = tls;
  const agent = new https.Agent({ ca, cert, key, rejectUnauthorized, keepAlive: true });
  const writes: Write[] = [];
  const server = http.createServer((request, response) => {
    const { method = 'GET', url = '/' } = request;
    const [path = ''] = url.split('?');
    if (method === 'POST')
      void nameIn(request).then((name) => writes.push({ method, path: `${path}/${name}` }));
    else if (method !== 'GET') writes.push({ method, path });
    const headers = { ...request.headers, ...tls.headers, host: cluster.server.host };
    const onward = https.request(new URL(url, cluster.server), { method, headers, agent }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      response.flushHeaders();
      answer.pipe(response);
      answer.on('error', () => response.destroy());
    });
    // Whoever goes away first takes the other along.
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    writes,
    async close() {
      server.closeAllConnections();
      server.close();
      agent.destroy();
      await once(server, 'close');
    },
  };
}
