/**
 * The routes that do not lead to a terminal, each handed what it needs of the program.
 * @module
 */
import type { FastifyInstance } from 'fastify';
import type { Logger } from 'pino';
import { AdminAccess } from './admin/access.ts';
import { adminApi } from './admin/api.ts';
import { healthRoutes } from './admin/health.ts';
import { type Metrics, type MetricsSnapshot, metricsRoute } from './admin/metrics.ts';
import { webhookRoute } from './admin/webhook.ts';
import type { Audit } from './audit.ts';
import type { Backend } from './backend/backend.ts';
import type { Config } from './config.ts';
import { type Following, followedKeys } from './identity/configured.ts';
import type { Authenticator } from './identity/identity.ts';
import type { SharedKeys } from './identity/keys.ts';
import { DirectorySource } from './policy/directory.ts';
import type { PolicySource } from './policy/policy.ts';
import type { PolicyRules } from './policy/policy-set.ts';
import { PolicyWriter } from './policy/policy-writer.ts';
import type { PolicyStore } from './policy/store.ts';
import type { Discovery } from './proxy/discovery.ts';
import { discoveryRoute } from './proxy/server.ts';
import type { PolicyStatuses } from './reconcile/policy-status.ts';
import type { Reconciler } from './reconcile/reconciler.ts';
import type { Templates } from './reconcile/templates.ts';

export interface OwnRoutesParts {
  readonly config: Config;
  readonly backend: Backend;
  readonly log: Logger;
  readonly cwd: string;
  readonly version: string;
  readonly metrics: Metrics;
  readonly audit: Audit;
  readonly source: PolicySource;
  readonly rules: PolicyRules;
  readonly policies: PolicyStore;
  readonly templates: Templates;
  readonly reconciler: Reconciler;
  readonly statuses: PolicyStatuses;
  readonly discovery: Discovery;
  readonly keys: SharedKeys;
  readonly authenticator: Authenticator;
  readonly following: Following;
  /** What serves, once it is made. */
  readonly front: () => { readonly sockets: number; counted(): Promise<readonly MetricsSnapshot[]> };
  /** Why it is not ready; empty: it is. */
  readonly notReady: () => readonly string[];
}

/** What registers all of them. */
export function ownRoutes(parts: OwnRoutesParts): (app: FastifyInstance) => void {
  const { config, backend, version, policies, discovery, authenticator, audit, log } = parts;
  return (app) => {
    const access = adminAccess(parts);
    const { kind } = backend;
    const { notReady } = parts;
    healthRoutes(app, { version, backend: kind, unenforced: () => backend.unenforced, notReady });
    discoveryRoute(app, { discovery, authenticator, policies, audit, log });
    const sources = {
      ...parts,
      backend: kind,
      sockets: () => parts.front().sockets,
      elsewhere: () => parts.front().counted(),
    };
    metricsRoute(app, { access, metrics: parts.metrics, audit, sources });
    const secret = config.policiesGit?.webhookSecret ?? null;
    webhookRoute(app, { secret, reload: () => policies.reload(), audit, log });
    adminApi(app, {
      ...parts,
      access,
      reload: async () => {
        backend.peers?.ask();
        await policies.reload();
      },
      writer: policyWriter(parts),
      unknownGroups: config.unknownGroups,
    });
  };
}

/** Who may use the admin API by this configuration. */
function adminAccess({ config, keys, authenticator, following }: OwnRoutesParts): AdminAccess {
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

/** Only files of a directory are edited here; what comes from Git or a ConfigMap is changed there. */
function policyWriter({ config, cwd, source, rules, policies }: OwnRoutesParts): PolicyWriter {
  return new PolicyWriter({
    directory: source instanceof DirectorySource ? config.policiesDir : null,
    cwd,
    enabled: config.policyWrites,
    rules,
    source,
    store: policies,
  });
}
