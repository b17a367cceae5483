/** A small HTTP server that answers lists and watches as an API server does, and fails as the test says. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';
import { KubeConfig } from '@kubernetes/client-node';
import { KubeClient } from '../../src/kubernetes/client.ts';

export type Answer = (request: IncomingMessage, response: ServerResponse, url: URL) => void;

export interface ApiServer {
  readonly client: KubeClient;
  /** Paths with their queries, in the order they came. */
  readonly requests: URL[];
  /** What every request gets from now on. */
  answer: Answer;
  /** Cuts every connection. */
  cut(): void;
}

export async function apiServer(t: TestContext, answer: Answer): Promise<ApiServer> {
  const requests: URL[] = [];
  const server: Server = createServer((request, response) => {
    const url = new URL(request.url ?? '', 'http://server');
    requests.push(url);
    api.answer(request, response, url);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const config = new KubeConfig();
  const [cluster, user] = [
    { name: 'c', server: `http://127.0.0.1:${port}`, skipTLSVerify: true },
    { name: 'u' },
  ];
  config.loadFromOptions({
    clusters: [cluster],
    users: [user],
    contexts: [{ name: 'x', cluster: 'c', user: 'u' }],
    currentContext: 'x',
  });
  const client = new KubeClient(config);
  const api: ApiServer = { client, requests, answer, cut: () => server.closeAllConnections() };
  t.after(async () => {
    server.closeAllConnections();
    server.close();
    await client.close();
  });
  return api;
}

export function json(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

export function pod(name: string, resourceVersion: string) {
  return { apiVersion: 'v1', kind: 'Pod', metadata: { name, namespace: 'n', resourceVersion, uid: name } };
}

export function list(resourceVersion: string, items: readonly unknown[], more?: string) {
  return {
    kind: 'PodList',
    metadata: { resourceVersion, ...(more === undefined ? {} : { continue: more }) },
    items,
  };
}

export function event(type: string, object: unknown): string {
  return `${JSON.stringify({ type, object })}\n`;
}

export const gone = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' };
