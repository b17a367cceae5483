/**
 * The whole program put together: every part is made here and handed what it needs.
 * @module
 */
import type { Logger } from 'pino';
import { Metrics } from './admin/metrics.ts';
import { Audit, auditDestination } from './audit.ts';
import type { Backend } from './backend/backend.ts';
import type { Config } from './config.ts';
import { configuredAuthenticator, configuredKeys } from './identity/configured.ts';
import { ownRoutes } from './own-routes.ts';
import { policyRules, policySource } from './policy/configured.ts';
import type { Policy, PolicySource } from './policy/policy.ts';
import { PolicyStore } from './policy/store.ts';
import { policyMemory } from './policy-file.ts';
import { Discovery } from './proxy/discovery.ts';
import { ProxyServer } from './proxy/proxy-server.ts';
import { Sessions } from './proxy/sessions.ts';
import { ActivityStore } from './reconcile/activity-store.ts';
import type { HostLimits } from './reconcile/budget.ts';
import { GoodStore } from './reconcile/good-store.ts';
import { PolicyStatuses, standingsOf } from './reconcile/policy-status.ts';
import { Preparation } from './reconcile/preparation.ts';
import { Reconciler } from './reconcile/reconciler.ts';
import { ResetStore } from './reconcile/reset-store.ts';
import { Templates } from './reconcile/templates.ts';
import { authorityOf } from './terminal/address.ts';
import { Leases } from './workers/leases.ts';
import type { Primary } from './workers/primary.ts';

export interface ProgramOptions {
  readonly config: Config;
  readonly backend: Backend;
  readonly log: Logger;
  readonly cwd: string;
  readonly version: string;
  /** Has `config.workers` serve, and is loaded only for that; absent: this process does. */
  readonly Primary?: typeof Primary;
}

/** Users of terminals that run come back after a restart, all at once and before anything else. */
const comingBackMs = 1_000;

/** How often it is looked whether policies are still as well as they were. */
const statusMs = 5_000;

function hostLimits({ maxTerminals, maxTotalMemoryBytes }: Config): HostLimits {
  return { terminals: maxTerminals, memoryBytes: maxTotalMemoryBytes };
}

export class Program {
  readonly policies: PolicyStore;
  readonly reconciler: Reconciler;
  readonly #options: ProgramOptions;
  readonly #discovery: Discovery;
  readonly #preparation: Preparation;
  /** Serves requests: this process, or workers of it. */
  readonly #front: ProxyServer | Primary;
  readonly #statuses: PolicyStatuses;
  readonly #metrics = new Metrics();
  readonly #source: PolicySource;
  readonly #stopping = new AbortController();
  /** Of what is asked to know who calls, which requests under way at a shutdown still need. */
  readonly #identifying = new AbortController();

  constructor(options: ProgramOptions) {
    const { config, backend, log, Primary } = options;
    this.#options = options;
    const identifying = { tokens: config.tokens, log, signal: this.#identifying.signal };
    const keys = configuredKeys(config.auth, identifying);
    const authenticator = configuredAuthenticator(config.auth, keys, identifying);
    const audit = new Audit(auditDestination(config), log);
    const metrics = this.#metrics;
    const templates = new Templates(backend.platform);
    const leads = () => backend.peers?.leads ?? true;
    const source = policySource(config, options.cwd, log, leads);
    const rules = policyRules(config);
    // Where several processes use a backend, they are where nothing outlives them.
    const memory = backend.shared ? {} : { memory: policyMemory(config, source, log) };
    const policies = new PolicyStore({ source, rules, log, ...memory });
    const leases = new Leases();
    const activity = backend.activity ?? new ActivityStore(config.dataDir, log);
    const reconciler = new Reconciler({
      backend,
      policies,
      templates,
      activity,
      revisions: backend.revisions ?? new GoodStore(config.dataDir, log),
      // Where several processes use a backend, it keeps resets itself, and the cluster's quotas say what there is room for.
      ...(backend.shared ? {} : { resets: new ResetStore(config.dataDir, log), host: hostLimits(config) }),
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
      ...(Primary === undefined ? {} : { elsewhere: leases }),
    });
    const statuses = new PolicyStatuses({
      policies,
      entries: () => reconciler.entries,
      stateOf: (policy) => reconciler.rollouts.stateOf(policy),
      templates,
      warm: (policy) => reconciler.warm.ready(policy),
      trouble: (workload) => backend.trouble?.(workload) ?? null,
      changed: (policy, { type, reason, message }) =>
        log[type === 'Stalled' ? 'warn' : 'info'](
          { policy, condition: type, reason, message },
          'policy status',
        ),
    });
    policies.onChange((next, previous) => audit.policiesChanged(next, previous));

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
    this.#discovery = new Discovery({
      backend,
      policies,
      templates,
      admit: (desired) => reconciler.admit(desired),
      log,
    });
    const workloadsOf = (policy: Policy) => reconciler.rollouts.workloadsOf(policy);
    this.#preparation = new Preparation({ backend, policies, workloadsOf, log });
    const routes = ownRoutes({
      ...options,
      metrics,
      audit,
      source,
      rules,
      policies,
      templates,
      reconciler,
      statuses,
      discovery: this.#discovery,
      keys,
      authenticator,
      following: identifying,
      front: () => this.#front,
      notReady: () => this.#notReady(),
    });
    this.#front =
      Primary === undefined
        ? new ProxyServer({
            terminals: reconciler,
            policies,
            authenticator,
            unknownGroups: config.unknownGroups,
            sessions: new Sessions(),
            audit,
            log,
            answered: (status, ms) => metrics.request(status, ms),
            ownRoutes: routes,
          })
        : new Primary({
            count: config.workers,
            environment: madeKey(config),
            terminals: reconciler,
            leases,
            policies,
            log,
            ownRoutes: routes,
          });
  }

  /**
   * Loads the policies, takes up what runs, listens.
   * @returns the base URL it listens at
   */
  async start(): Promise<string> {
    const { config, backend, log } = this.#options;
    if (backend.shared && (config.maxTerminals ?? config.maxTotalMemoryBytes) !== null) {
      log.warn(
        'TERMINALS_MAX_TERMINALS and TERMINALS_MAX_TOTAL_MEMORY bound one host; here use a ResourceQuota',
      );
    }
    this.reconciler.onGone((terminal) => this.#front.gone(terminal));
    await this.policies.start(this.#stopping.signal);
    await this.reconciler.start();
    const port = await this.#front.listen(config);
    this.#beginLater();
    this.#watchStatuses();
    // Not awaited: it takes a short-lived terminal a policy, and requests wait for it only where they need it.
    void this.#discovery.start(comingBackMs);
    this.#preparation.start();
    return baseUrl(config.host, port);
  }

  /** Takes no more requests, lets those under way end, tells WebSockets to come back; terminals go on running. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#front.close();
    this.#identifying.abort();
    await this.#discovery.close();
    await this.#preparation.close();
    await this.reconciler.close();
    await this.policies.saved();
    await this.#options.backend.close();
  }

  /** What only costs those who come back. */
  #beginLater(): void {
    const timer = setTimeout(() => this.#metrics.begin(), comingBackMs).unref();
    this.#stopping.signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
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

/** A key that was made for this run is not in the environment, where workers look for it. */
function madeKey({ auth }: Config): Readonly<Record<string, string>> {
  const key = auth.mode === 'key' && auth.made ? auth.keys[0] : undefined;
  return key === undefined ? {} : { TERMINALS_API_KEY: key.reveal() };
}

function baseUrl(host: string, port: number): string {
  const anywhere = host === '0.0.0.0' || host === '::';
  return `http://${authorityOf({ host: anywhere ? '127.0.0.1' : host, port })}`;
}
