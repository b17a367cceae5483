/**
 * The whole program put together: every part is made here and handed what it needs.
 * @module
 */
import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { AdminAccess } from './admin/access.ts';
import { adminApi } from './admin/api.ts';
import { healthRoutes } from './admin/health.ts';
import { Metrics, metricsRoute } from './admin/metrics.ts';
import { webhookRoute } from './admin/webhook.ts';
import { Audit, auditDestination } from './audit.ts';
import type { Backend } from './backend/backend.ts';
import type { Config } from './config.ts';
import {
  configuredAuthenticator,
  configuredKeys,
  type Following,
  followedKeys,
} from './identity/configured.ts';
import type { Authenticator } from './identity/identity.ts';
import type { SharedKeys } from './identity/keys.ts';
import { policyRules, policySource } from './policy/configured.ts';
import { DirectorySource } from './policy/directory.ts';
import type { Policy, PolicySource } from './policy/policy.ts';
import { PolicyWriter } from './policy/policy-writer.ts';
import { PolicyStore } from './policy/store.ts';
import { Discovery } from './proxy/discovery.ts';
import { Gateway } from './proxy/gateway.ts';
import { Router } from './proxy/route.ts';
import { createServer } from './proxy/server.ts';
import { Sessions } from './proxy/sessions.ts';
import { terminalSockets } from './proxy/terminal-sockets.ts';
import { Upstreams } from './proxy/upstreams.ts';
import type { WebSocketProxy } from './proxy/websocket/websocket-proxy.ts';
import { ActivityStore } from './reconcile/activity-store.ts';
import { GoodStore } from './reconcile/good-store.ts';
import { PolicyStatuses, standingsOf } from './reconcile/policy-status.ts';
import { Preparation } from './reconcile/preparation.ts';
import { Reconciler } from './reconcile/reconciler.ts';
import { ResetStore } from './reconcile/reset-store.ts';
import { Templates } from './reconcile/templates.ts';

export interface ProgramOptions {
  readonly config: Config;
  readonly backend: Backend;
  readonly log: Logger;
  readonly cwd: string;
  readonly version: string;
}

/** How often it is looked whether policies are still as well as they were. */
const statusMs = 5_000;
/** Requests under way at a shutdown get this long; Docker and Kubernetes kill after 10 and 30 s. */
const drainMs = 8_000;

/** Who may use the admin API by this configuration. */
function adminAccess(
  config: Config,
  keys: SharedKeys,
  authenticator: Authenticator,
  following: Following,
): AdminAccess {
  const { adminKeys, adminKeyFile, adminGroup, auth, tokens } = config;
  const own = adminKeys.length > 0;
  return new AdminAccess({
    keys: own ? followedKeys(adminKeys, adminKeyFile, following) : keys,
    open: auth.mode === 'open' && !own,
    group: adminGroup,
    authenticator,
    keyless: auth.mode === 'open' || tokens.openWebUi !== null || tokens.oidc !== null,
  });
}

export class Program {
  readonly policies: PolicyStore;
  readonly reconciler: Reconciler;
  readonly #options: ProgramOptions;
  readonly #discovery: Discovery;
  readonly #preparation: Preparation;
  readonly #upstreams = new Upstreams();
  readonly #sockets: WebSocketProxy;
  readonly #app: FastifyInstance;
  readonly #statuses: PolicyStatuses;
  readonly #metrics = new Metrics();
  readonly #source: PolicySource;
  readonly #stopping = new AbortController();

  constructor(options: ProgramOptions) {
    const { config, backend, log } = options;
    this.#options = options;
    const { signal } = this.#stopping;
    const identifying = { tokens: config.tokens, log, signal };
    const keys = configuredKeys(config.auth, identifying);
    const authenticator = configuredAuthenticator(config.auth, keys, identifying);
    const audit = new Audit(auditDestination(config));
    const metrics = this.#metrics;
    const templates = new Templates(backend.platform);
    const leads = () => backend.peers?.leads ?? true;
    const source = policySource(config, options.cwd, log, leads);
    const rules = policyRules(config);
    const policies = new PolicyStore({ source, rules, log });
    const activity = backend.activity ?? new ActivityStore(config.dataDir, log);
    const reconciler = new Reconciler({
      backend,
      policies,
      templates,
      activity,
      revisions: backend.revisions ?? new GoodStore(config.dataDir, log),
      resets: new ResetStore(config.dataDir, log),
      log,
      acted: (act, terminal, reason) => {
        audit.acted(act, terminal, reason);
        metrics.acted(act);
      },
      started: (_terminal, error, ms) => metrics.started(error, ms),
      drifted: (terminal, drift) => {
        audit.drifted(terminal, drift);
        metrics.drifted(drift);
      },
    });
    const statuses = new PolicyStatuses({
      policies,
      entries: () => reconciler.entries,
      stateOf: (policy) => reconciler.rollouts.stateOf(policy),
      templates,
      trouble: (workload) => backend.trouble?.(workload) ?? null,
      changed: (policy, { type, reason, message }) =>
        log[type === 'Stalled' ? 'warn' : 'info'](
          { policy, condition: type, reason, message },
          'policy status',
        ),
    });
    policies.onChange((next, previous) => audit.policiesChanged(next, previous));
    const router = new Router({ authenticator, policies, unknownGroups: config.unknownGroups });
    const sessions = new Sessions();

    source.onRequest?.(() => this.#lookNow());
    backend.peers?.onAsked(() => void this.#lookNow());
    // Who looks at Git in turn hears of a commit at once: replicas that disagree would undo each other's work.
    policies.onChange((next, previous) => {
      if (next.source !== previous.source) backend.peers?.ask();
    });
    this.#source = source;
    this.policies = policies;
    this.#statuses = statuses;
    this.reconciler = reconciler;
    this.#discovery = new Discovery({ backend, policies, templates, log });
    const workloadsOf = (policy: Policy) => reconciler.rollouts.workloadsOf(policy);
    this.#preparation = new Preparation({ backend, policies, workloadsOf, log });
    this.#sockets = terminalSockets({ authenticator, router, reconciler, sessions, audit, log });
    this.#app = createServer({
      gateway: new Gateway({
        router,
        reconciler,
        upstreams: this.#upstreams,
        sessions,
        audit,
        log,
        answered: (status, ms) => metrics.request(status, ms),
      }),
      discovery: this.#discovery,
      authenticator,
      policies,
      log,
      ownRoutes: (app) => {
        healthRoutes(app, {
          version: options.version,
          backend: backend.kind,
          unenforced: backend.unenforced,
          notReady: () => this.#notReady(),
        });
        const access = adminAccess(config, keys, authenticator, identifying);
        const { version } = options;
        const { kind } = backend;
        const sources = { version, backend: kind, reconciler, policies, statuses, sockets: this.#sockets };
        metricsRoute(app, { access, metrics, audit, sources });
        const secret = config.policiesGit?.webhookSecret ?? null;
        webhookRoute(app, { secret, reload: () => policies.reload(), audit, log });
        adminApi(app, {
          access,
          policies,
          reload: async () => {
            backend.peers?.ask();
            await policies.reload();
          },
          rules,
          templates,
          statuses,
          writer: new PolicyWriter({
            // Only files of a directory are edited here; what comes from Git or a ConfigMap is changed there.
            directory: source instanceof DirectorySource ? config.policiesDir : null,
            cwd: options.cwd,
            enabled: config.policyWrites,
            rules,
            source,
            store: policies,
          }),
          reconciler,
          backend,
          unknownGroups: config.unknownGroups,
          version: options.version,
          audit,
          log,
        });
      },
    });
  }

  /**
   * Loads the policies, takes up what runs, listens.
   * @returns the base URL it listens at
   */
  async start(): Promise<string> {
    const { config } = this.#options;
    this.reconciler.onGone(({ address }) => this.#upstreams.release(address));
    await this.policies.start(this.#stopping.signal);
    await this.reconciler.start();
    await this.#app.ready();
    this.#app.server.on('upgrade', (request, socket, head) =>
      this.#sockets.handleUpgrade(request, socket, head),
    );
    await this.#app.listen({ host: config.host, port: config.port });
    this.#metrics.begin();
    this.#watchStatuses();
    // Not awaited: it takes a short-lived terminal a policy, and requests wait for it only where they need it.
    void this.#discovery.start();
    this.#preparation.start();
    return baseUrl(this.#app.server.address(), config.host);
  }

  /** Takes no more requests, lets those under way end, tells WebSockets to come back; terminals go on running. */
  async close(): Promise<void> {
    this.#stopping.abort();
    const drained = this.#app.close();
    const late = setTimeout(() => this.#app.server.closeAllConnections(), drainMs).unref();
    await this.#sockets.closeAll(1012, 'Terminals restarts; connect again', 1_000);
    await drained;
    clearTimeout(late);
    await this.#discovery.close();
    await this.#preparation.close();
    await this.reconciler.close();
    await this.#upstreams.close();
    await this.#options.backend.close();
  }

  /** So that a condition says since when it holds, also where nobody asks, and is shown where the policies come from. */
  #watchStatuses(): void {
    const look = () => this.#source.announce?.(standingsOf(this.#statuses.all()));
    look();
    this.policies.onChange(look);
    const timer = setInterval(look, statusMs).unref();
    this.#stopping.signal.addEventListener('abort', () => clearInterval(timer), { once: true });
  }

  /** Somebody asked for it where the policies come from. */
  async #lookNow(): Promise<void> {
    try {
      await this.policies.reload();
      await this.reconciler.resync();
    } catch (error) {
      this.#options.log.warn(
        { err: error },
        'the look that was asked for failed; the next one is due by itself',
      );
    }
  }

  #notReady(): readonly string[] {
    const reasons: string[] = [];
    if (this.#stopping.signal.aborted) reasons.push('shutting down');
    if (!this.reconciler.synced)
      reasons.push(`the ${this.#options.backend.kind} backend has not answered yet`);
    return reasons;
  }
}

function baseUrl(address: AddressInfo | string | null, host: string): string {
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const anywhere = host === '0.0.0.0' || host === '::';
  const name = anywhere ? '127.0.0.1' : host;
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`;
}
