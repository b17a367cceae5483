/** A TCP proxy in front of the API server that a test can cut and close: an API server that restarts, for one client. */

import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { TestContext } from 'node:test';
import { KubeConfig } from '@kubernetes/client-node';
import { kubeConfig } from './cluster.ts';

export interface Proxy {
  readonly kubeConfig: KubeConfig;
  /** Cuts every connection and each new one. */
  down(): void;
  up(): void;
  /** Cuts every connection. */
  cut(): void;
}

export async function proxyToCluster(t: TestContext): Promise<Proxy> {
  const real = kubeConfig();
  const target = new URL(real.getCurrentCluster()?.server ?? '');
  const sockets = new Set<Socket>();
  let isUp = true;
  // It listens all the time: another process could take the port meanwhile.
  const server: Server = createServer((socket) => {
    if (!isUp) return void socket.destroy();
    const onward = connect(Number(target.port || 443), target.hostname);
    for (const one of [socket, onward]) {
      sockets.add(one);
      one.on('error', () => undefined);
      one.on('close', () => {
        sockets.delete(one);
        socket.destroy();
        onward.destroy();
      });
    }
    socket.pipe(onward).pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  const down = () => {
    isUp = false;
    cut();
  };
  const up = () => {
    isUp = true;
  };
  t.after(() => {
    down();
    server.close();
  });
  const config = new KubeConfig();
  config.loadFromString(real.exportConfig().replaceAll(target.origin, `https://127.0.0.1:${port}`));
  return { kubeConfig: config, down, up, cut };
}
