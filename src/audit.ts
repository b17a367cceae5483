/**
 * The audit log: one JSON line for each decision that matters, apart from the log for operators. No key, no token, no path
 * and no command ever gets into it.
 * @module
 */
import pino, { type DestinationStream, type Logger } from 'pino';
import type { Config } from './config.ts';
import { TerminalsError } from './errors.ts';
import type { Policy, PolicySet } from './policy/policy.ts';
import { sameSpec } from './policy/policy-set.ts';
import type { Route } from './proxy/route.ts';
import type { Act } from './reconcile/actions.ts';
import type { Drift } from './reconcile/drift.ts';
import { isNobody } from './terminal/names.ts';
import type { PolicyId, TerminalKey, TerminalName } from './terminal/terminal.ts';

/** A terminal that something was done to. */
export interface AuditedTerminal {
  readonly key: TerminalKey;
  readonly name: TerminalName;
}

export class Audit {
  readonly #log: Logger | null;

  /** @param destination null: nothing is recorded. */
  constructor(destination: DestinationStream | null) {
    // On standard output its lines stand among those of the other log.
    const options = {
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: () => ({ log: 'audit' }) },
    };
    this.#log = destination && pino(options, destination);
  }

  /** Somebody was let in, and may use a terminal of this policy. */
  admitted({ identity, key }: Route, requestId: string | null): void {
    const { admittedBy, groups, subject } = identity;
    this.#log?.info({
      event: 'admitted',
      ...terminalFields(key),
      admittedBy,
      ...(groups === null ? {} : { groups: groups.map(({ name }) => name) }),
      ...(subject === undefined ? {} : { subject }),
      ...requested(requestId),
    });
  }

  /** Somebody was not let in, or not to the policy they asked for. */
  refused(
    error: unknown,
    by: { readonly user: string | undefined; readonly requestId: string | null },
  ): void {
    this.#log?.info({
      event: 'refused',
      claimedUser: by.user,
      reason: error instanceof TerminalsError ? error.code : 'internal',
      ...requested(by.requestId),
    });
  }

  /** A terminal was made, started, changed, replaced, reset, stopped or deleted. */
  acted(act: Act, { key, name }: AuditedTerminal, reason: string): void {
    this.#log?.info({ event: act, terminal: name, ...terminalFields(key), reason });
  }

  /** Somebody changed a terminal by hand. */
  drifted({ key, name }: AuditedTerminal, { kind, changes }: Drift): void {
    this.#log?.info({ event: 'drift', terminal: name, ...terminalFields(key), kind, changes });
  }

  /** The policies in force changed. */
  policiesChanged(next: PolicySet, previous: PolicySet): void {
    const ids = new Set([...next.policies.keys(), ...previous.policies.keys()]);
    for (const id of ids) {
      const event = changeOf(next.policies.get(id), previous.policies.get(id));
      if (event !== null) this.#policyChanged(event, id, next, previous);
    }
  }

  #policyChanged(event: string, id: PolicyId, next: PolicySet, previous: PolicySet): void {
    const place = (next.policies.get(id) ?? previous.policies.get(id))?.declaredAt;
    const file = place && `${place.file}:${place.line}`;
    this.#log?.info({
      event,
      policy: id,
      file,
      revision: next.revision,
      previousRevision: previous.revision,
    });
  }
}

/** Where the configuration wants it. */
export function auditDestination(config: Pick<Config, 'auditLog'>): DestinationStream | null {
  if (config.auditLog === null) return null;
  // Written at once: a decision that only memory knew would be lost with the process.
  if (config.auditLog === 'stdout') return pino.destination({ dest: 1, sync: true });
  return pino.destination({ dest: config.auditLog.file, sync: true, append: true, mkdir: true, mode: 0o600 });
}

function changeOf(now: Policy | undefined, before: Policy | undefined): string | null {
  if (now === undefined) return 'policy-removed';
  if (before === undefined) return 'policy-added';
  return sameSpec(now.spec, before.spec) ? null : 'policy-changed';
}

function terminalFields({ user, policy, context }: TerminalKey): Readonly<Record<string, string>> {
  if (isNobody(user)) return { policy };
  return { user, policy, ...(context === null ? {} : { context }) };
}

function requested(requestId: string | null): { readonly requestId?: string } {
  return requestId === null ? {} : { requestId };
}
