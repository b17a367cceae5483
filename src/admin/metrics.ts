/**
 * What is counted and measured, for Prometheus. No label names a user, a path or a terminal.
 * @module
 */
import { createRequire } from 'node:module';
import type { FastifyInstance } from 'fastify';
import type * as PromClient from 'prom-client';
import type { Audit } from '../audit.ts';
import { TerminalsError } from '../errors.ts';
import type { PolicySet } from '../policy/policy.ts';
import { header } from '../proxy/credentials.ts';
import type { Act } from '../reconcile/actions.ts';
import type { Drift } from '../reconcile/drift.ts';
import { conditionTypes, type PolicyStatuses } from '../reconcile/policy-status.ts';
import type { Reconciler } from '../reconcile/reconciler.ts';
import type { AdminAccess } from './access.ts';
import { phaseOf } from './terminals.ts';

/** What is looked at only when somebody asks. */
export interface MetricsSources {
  readonly version: string;
  readonly backend: string;
  readonly reconciler: Pick<Reconciler, 'entries' | 'queued' | 'synced'>;
  readonly policies: { readonly current: PolicySet };
  readonly statuses: Pick<PolicyStatuses, 'all'>;
  /** WebSockets that this process has open. */
  readonly sockets: () => number;
  /** What other processes of this program have counted. */
  readonly elsewhere: () => Promise<readonly MetricsSnapshot[]>;
}

/** All that a process has counted and measured, as plain data. */
export type MetricsSnapshot = Awaited<ReturnType<PromClient.Registry['getMetricsAsJSON']>>;

/** What still counts of a process that has ended: a sum must not fall. */
export function countsOf(snapshot: MetricsSnapshot): MetricsSnapshot {
  // The library's types have numbers here, and its data names.
  return snapshot.filter(({ type }) => ['counter', 'histogram'].includes(String(type)));
}

const requestSeconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const startSeconds = [0.25, 0.5, 1, 2, 3, 5, 10, 15, 30, 60, 120, 300];

type Meters = ReturnType<typeof meters>;

export class Metrics {
  #made: Meters | null = null;
  /** Requests from before it began. */
  #early: { readonly status: number; readonly ms: number }[] = [];
  /** By the first digit of the status: made once, since this is on the way of every request. */
  readonly #classes = [0, 1, 2, 3, 4, 5].map((digit) => ({ status: `${digit}xx` }));

  /**
   * Begins to measure this process; its client library takes a twentieth of a start to load, so that this comes after it.
   * What is counted before is kept until then.
   */
  begin(): void {
    if (this.#made === null) this.#make();
  }

  #make(): Meters {
    const made = meters();
    this.#made = made;
    for (const { status, ms } of this.#early) this.#count(made, status, ms);
    this.#early = [];
    return made;
  }

  get #meters(): Meters {
    return this.#made ?? this.#make();
  }

  /** A request for a terminal was answered. */
  request(status: number, ms: number): void {
    if (this.#made === null) this.#early.push({ status, ms });
    else this.#count(this.#made, status, ms);
  }

  #count(made: Meters, status: number, ms: number): void {
    const labels = this.#classes[Math.trunc(status / 100)];
    if (labels !== undefined) made.requests.inc(labels);
    made.requestSeconds.observe(ms / 1000);
  }

  /** @param error null: the terminal runs */
  started(error: unknown, ms: number): void {
    const outcome = error === null ? 'ok' : error instanceof TerminalsError ? error.code : 'internal';
    this.#meters.starts.inc({ outcome });
    if (error === null) this.#meters.startSeconds.observe(ms / 1000);
  }

  acted(action: Act): void {
    this.#meters.actions.inc({ action });
  }

  drifted({ kind }: Drift): void {
    this.#meters.drifts.inc({ kind });
  }

  get contentType(): string {
    return this.#meters.registry.contentType;
  }

  /** Everything, of all processes together, in the text format of Prometheus. */
  async text(sources: MetricsSources): Promise<string> {
    this.#look(sources);
    const elsewhere = await sources.elsewhere();
    const { prom, registry } = this.#meters;
    if (elsewhere.length === 0) return registry.metrics();
    // What makes no sum, such as the time of the start, is said of this process.
    const own = (await registry.getMetricsAsJSON()).map((metric) =>
      metric.aggregator === 'omit' ? { ...metric, aggregator: 'first' as const } : metric,
    );
    return prom.AggregatorRegistry.aggregate([own, ...elsewhere]).metrics();
  }

  /** What a process that only serves requests has counted. @param open WebSockets */
  snapshot(open: number): Promise<MetricsSnapshot> {
    this.#meters.gauges.sockets.set(open);
    return this.#meters.registry.getMetricsAsJSON();
  }

  #look({ version, backend, reconciler, policies, statuses, sockets }: MetricsSources): void {
    const all = this.#meters.gauges;
    for (const gauge of Object.values(all)) gauge.reset();
    all.build.set({ version, backend }, 1);
    all.sockets.set(sockets());
    all.queue.set(reconciler.queued);
    all.synced.set(reconciler.synced ? 1 : 0);
    for (const entry of reconciler.entries)
      all.terminals.inc({ policy: entry.key.policy, phase: phaseOf(entry) });
    for (const severity of ['error', 'warning'] as const) {
      const found = policies.current.problems.filter((problem) => problem.severity === severity);
      all.problems.set({ severity }, found.length);
    }
    for (const [policy, status] of statuses.all()) {
      for (const type of conditionTypes) {
        const condition = status.conditions.find((each) => each.type === type);
        all.conditions.set({ policy, type }, condition?.status === 'True' ? 1 : 0);
      }
      for (const state of ['desired', 'updated', 'available', 'idle', 'warm'] as const) {
        all.states.set({ policy, state }, status[state]);
      }
      all.failures.set({ policy }, status.failures);
    }
  }
}

function meters() {
  const prom: typeof PromClient = createRequire(import.meta.url)('prom-client');
  const registry = new prom.Registry();
  const registers = [registry];
  const counter = (name: string, help: string, labelNames: string[]) =>
    new prom.Counter({ name, help, labelNames, registers });
  const histogram = (name: string, help: string, buckets: number[]) =>
    new prom.Histogram({ name, help, buckets, registers });
  prom.collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 25 });
  return {
    prom,
    registry,
    requests: counter(
      'terminals_requests_total',
      'Requests for terminals, by the class of the status that they were answered with.',
      ['status'],
    ),
    requestSeconds: histogram(
      'terminals_request_duration_seconds',
      'Requests for terminals, from their head to the last byte of the answer.',
      requestSeconds,
    ),
    starts: counter('terminals_starts_total', 'Starts of terminals, by ok or the code of the problem.', [
      'outcome',
    ]),
    startSeconds: histogram(
      'terminals_start_duration_seconds',
      'Starts of terminals that succeeded, until they answer.',
      startSeconds,
    ),
    actions: counter('terminals_actions_total', 'What was done with terminals.', ['action']),
    drifts: counter('terminals_drift_total', 'Changes by hand that were found.', ['kind']),
    gauges: gauges(prom, registers),
  };
}

function gauges(prom: typeof PromClient, registers: PromClient.Registry[]) {
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new prom.Gauge({ name, help, labelNames, registers });
  return {
    build: gauge('terminals_build_info', 'Always 1; version and backend are in the labels.', [
      'version',
      'backend',
    ]),
    sockets: gauge('terminals_websockets_open', 'WebSockets that are open.'),
    queue: gauge('terminals_queue_depth', 'Terminals that wait for work on them.'),
    synced: gauge('terminals_backend_synced', 'Whether the backend has answered a full listing.'),
    terminals: gauge('terminals_terminals', 'Terminals, by policy and phase.', ['policy', 'phase']),
    problems: gauge('terminals_policy_problems', 'What is wrong with policy files.', ['severity']),
    conditions: gauge('terminals_policy_condition', 'Whether a condition of a policy holds.', [
      'policy',
      'type',
    ]),
    states: gauge('terminals_policy_terminals', 'Terminals of a policy, by how far they are.', [
      'policy',
      'state',
    ]),
    failures: gauge(
      'terminals_rollout_failures',
      "Starts of a policy's newest revision that failed in a row.",
      ['policy'],
    ),
  };
}

export interface MetricsRouteOptions {
  readonly access: AdminAccess;
  readonly metrics: Metrics;
  readonly sources: MetricsSources;
  readonly audit: Audit;
}

/** `GET /metrics`, for administrators. */
export function metricsRoute(
  app: FastifyInstance,
  { access, metrics, sources, audit }: MetricsRouteOptions,
): void {
  app.get('/metrics', {
    onRequest: async (request) => {
      try {
        await access.admit(request.raw);
      } catch (error) {
        audit.refused(error, { user: header(request.raw, 'x-user-id'), requestId: request.id });
        throw error;
      }
    },
    handler: async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text(sources)),
  });
}
