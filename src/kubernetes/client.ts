/**
 * Requests to the API server, over one pool of connections.
 *
 * Of @kubernetes/client-node this uses what is hard: kubeconfig, service account tokens, exec plugins, certificates.
 * Its generated clients are not used, since each of their requests makes a dispatcher of its own (2.0: KubeConfig
 * `createDispatcher`), which means a TLS handshake a request and sockets that nobody closes.
 * @module
 */
import type { RequestOptions as HttpsOptions } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { Agent, type buildConnector, type Dispatcher, ProxyAgent, request, Socks5ProxyAgent } from 'undici';
import { KubeError, kubeErrorOf } from './kube-error.ts';
import { type KubeObject, pathOf, type Resource } from './objects.ts';

/** A token file changes within minutes, exec plugins keep theirs; so credentials are asked for at most this often. */
const credentialsMs = 30_000;
const timeoutMs = 30_000;

type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export interface RequestOptions {
  readonly query?: Query;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
}

interface Credentials {
  readonly headers: Record<string, string>;
  readonly dispatcher: Dispatcher;
}

/** How an object is applied. */
export interface ApplyOptions {
  readonly manager: string;
  /** Take fields over from other managers; else a conflict is a KubeError of status 409. */
  readonly force: boolean;
  readonly subresource?: string;
  readonly signal?: AbortSignal | undefined;
}

export class KubeClient {
  readonly #config: KubeConfig;
  readonly #server: string;
  #credentials: Promise<Credentials> | undefined;
  #dispatcher: Dispatcher | undefined;
  #knownAt = 0;

  /** @throws Error where the configuration names no cluster. */
  constructor(config: KubeConfig) {
    const cluster = config.getCurrentCluster();
    if (cluster === null) throw new Error('the Kubernetes configuration names no cluster');
    this.#config = config;
    this.#server = cluster.server.replace(/\/+$/, '');
  }

  /** undefined where there is no such object. */
  async get<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string,
    name: string,
    signal?: AbortSignal,
  ): Promise<T | undefined> {
    try {
      return await this.request<T>('GET', pathOf(resource, namespace, name), { signal });
    } catch (error) {
      if (error instanceof KubeError && error.status === 404) return undefined;
      throw error;
    }
  }

  /** Makes it; one that is there already is a KubeError of status 409. */
  create<T extends KubeObject>(
    resource: Resource<T>,
    object: KubeObject,
    manager: string,
    signal?: AbortSignal,
  ): Promise<T> {
    const path = pathOf(resource, object.metadata.namespace);
    return this.request<T>('POST', path, { query: { fieldManager: manager }, body: object, signal });
  }

  /** Server-side apply: the fields of the object become ours, what else is there stays. */
  apply<T extends KubeObject>(resource: Resource<T>, object: KubeObject, options: ApplyOptions): Promise<T> {
    const { namespace, name } = object.metadata;
    return this.request<T>('PATCH', pathOf(resource, namespace, name, options.subresource), {
      query: { fieldManager: options.manager, force: options.force },
      body: object,
      contentType: 'application/apply-patch+yaml',
      signal: options.signal,
    });
  }

  /**
   * Removes it; one that is gone, or has become another (`uid`), is no error.
   * @returns the object where it takes its time to end
   */
  async delete<T extends KubeObject>(
    resource: Resource<T>,
    namespace: string,
    name: string,
    uid: string | undefined,
    signal?: AbortSignal,
  ): Promise<T | undefined> {
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      ...(uid === undefined ? {} : { preconditions: { uid } }),
    };
    try {
      const answer = await this.request<T>('DELETE', pathOf(resource, namespace, name), { body, signal });
      return answer.kind === resource.kind ? answer : undefined;
    } catch (error) {
      if (error instanceof KubeError && (error.status === 404 || error.status === 409)) return undefined;
      throw error;
    }
  }

  /** @throws KubeError for an answer that is none of 2xx; what undici throws where there is no answer */
  async request<T>(method: Dispatcher.HttpMethod, path: string, options: RequestOptions = {}): Promise<T> {
    const { body, contentType = 'application/json' } = options;
    const limit = AbortSignal.timeout(timeoutMs);
    const response = await this.#send(method, path, options.query, {
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': contentType } }),
      signal: options.signal ? AbortSignal.any([options.signal, limit]) : limit,
    });
    const text = await response.body.text();
    if (response.statusCode >= 300)
      throw kubeErrorOf(response.statusCode, text, response.headers['retry-after']);
    return JSON.parse(text);
  }

  /**
   * A watch: the lines of the answer, as they come. It ends with the server's own time limit; silence is a TimeoutError.
   * @throws KubeError as `request`
   */
  async watch(
    path: string,
    query: Query,
    silenceMs: number,
    signal: AbortSignal,
  ): Promise<AsyncIterable<Buffer>> {
    const response = await this.#send(
      'GET',
      path,
      { ...query, watch: true },
      { signal, bodyTimeout: silenceMs },
    );
    if (response.statusCode !== 200) {
      throw kubeErrorOf(response.statusCode, await response.body.text(), response.headers['retry-after']);
    }
    return response.body;
  }

  /** Closes the connections. */
  async close(): Promise<void> {
    await this.#dispatcher?.destroy();
  }

  async #send(
    method: Dispatcher.HttpMethod,
    path: string,
    query: Query | undefined,
    options: {
      readonly body?: string;
      readonly headers?: Record<string, string>;
      readonly signal: AbortSignal;
      readonly bodyTimeout?: number;
    },
  ): Promise<Dispatcher.ResponseData> {
    const { headers, dispatcher } = await this.#authenticated();
    const response = await request(`${this.#server}${path}${queryText(query)}`, {
      ...options,
      method,
      headers: { ...headers, accept: 'application/json', 'user-agent': 'terminals', ...options.headers },
      dispatcher,
      headersTimeout: timeoutMs,
    });
    if (response.statusCode === 401) this.#credentials = undefined;
    return response;
  }

  #authenticated(): Promise<Credentials> {
    if (this.#credentials === undefined || Date.now() - this.#knownAt > credentialsMs) {
      this.#knownAt = Date.now();
      const asked = this.#authenticate();
      this.#credentials = asked;
      asked.catch(() => {
        if (this.#credentials === asked) this.#credentials = undefined;
      });
    }
    return this.#credentials;
  }

  async #authenticate(): Promise<Credentials> {
    const options: HttpsOptions = {};
    await this.#config.applyToHTTPSOptions(options);
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(options.headers ?? {})) headers[name] = String(value);
    if (options.auth) headers.authorization = `Basic ${Buffer.from(options.auth).toString('base64')}`;
    this.#dispatcher ??= dispatcherOf(this.#config, options);
    return { headers, dispatcher: this.#dispatcher };
  }
}

/** Watches keep a connection each; the rest bounds how much is asked of the API server at once. */
const connections = 40;

/**
 * Over HTTP/1.1: with HTTP/2, which the API server prefers, undici 8 throws where nobody can catch it when it is destroyed
 * while a stream is open.
 */
function dispatcherOf(config: KubeConfig, options: HttpsOptions): Dispatcher {
  const { ca, cert, key, pfx, passphrase, rejectUnauthorized, servername } = options;
  const given = Object.entries({ ca, cert, key, pfx, passphrase, rejectUnauthorized, servername });
  // The library's types and undici's differ only in whether a field may be there and undefined; here none is.
  const tls = Object.fromEntries(
    given.filter(([, value]) => value !== undefined),
  ) as buildConnector.BuildOptions;
  const proxy = config.getCurrentCluster()?.proxyUrl;
  if (proxy?.startsWith('socks'))
    return new Socks5ProxyAgent(proxy, { requestTls: tls, allowH2: false, connections });
  if (proxy) return new ProxyAgent({ uri: proxy, requestTls: tls, allowH2: false, connections });
  // Load balancers drop connections that are silent for a minute.
  const connect = { ...tls, keepAlive: true, keepAliveInitialDelay: 30_000 };
  return new Agent({ connect, allowH2: false, connections });
}

function queryText(query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query))
    if (value !== undefined) parameters.set(name, String(value));
  const text = parameters.toString();
  return text === '' ? '' : `?${text}`;
}
