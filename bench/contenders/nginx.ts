/** nginx with one worker, connections to the upstream kept, nothing buffered or logged: at its best. @module */
import { mkdir, writeFile } from 'node:fs/promises';
import net from 'node:net';
import path from 'node:path';
import { end, start, until } from '../processes.ts';

export interface Peer {
  readonly url: string;
  readonly pid: number;
  stop(): Promise<void>;
}

export async function startNginx(folder: string, port: number, upstream: string): Promise<Peer> {
  const prefix = path.join(folder, 'nginx');
  await mkdir(prefix, { recursive: true });
  const file = path.join(prefix, 'nginx.conf');
  await writeFile(file, configuration(port, upstream));
  const child = start('nginx', ['-p', `${prefix}/`, '-e', 'error.log', '-c', file], { stdio: 'ignore' });
  child.on('error', () => undefined);
  await accepting(port, 'nginx listens');
  return { url: `http://127.0.0.1:${port}`, pid: child.pid ?? 0, stop: () => end(child) };
}

/** Resolves when a port takes connections. */
export function accepting(port: number, what: string): Promise<boolean> {
  const connects = () =>
    new Promise<true | undefined>((resolve) => {
      const socket = net.connect(port, '127.0.0.1');
      socket.once('connect', () => resolve(true)).once('error', () => resolve(undefined));
      socket.once('connect', () => socket.destroy());
    });
  return until(connects, 15_000, what);
}

function configuration(port: number, upstream: string): string {
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `daemon off;
user root;
worker_processes 1;
pid nginx.pid;
error_log error.log warn;
events { worker_connections 16384; }
http {
  access_log off;
${paths.map((name) => `  ${name}_temp_path ${name};`).join('\n')}
  client_max_body_size 0;
  keepalive_requests 100000000;
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  upstream terminal {
    server ${upstream};
    keepalive 256;
    keepalive_requests 100000000;
  }
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://terminal;
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_request_buffering off;
      proxy_buffering off;
      proxy_read_timeout 300s;
    }
  }
}
`;
}
