/**
 * The audit log: one JSON line for each decision that matters, apart from the log for operators. No key, no token, no path
 * and no command ever gets into it.
 * @module
 */
import { mkdirSync, openSync } from 'node:fs';
import path from 'node:path';
import pino, { type DestinationStream, type Logger } from 'pino';
import type { Config } from './config.ts';
import { AuditUnavailableError, TerminalsError } from './errors.ts';
import { Lines } from './lines.ts';
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
  readonly #records: Logger | null;
  readonly #log: Logger;
  #failing = false;

  /**
   * @param destination throws where it can't be written; null: nothing is recorded
   * @param log told once when it can't be written, and when it can again
   */
  constructor(destination: DestinationStream | null, log: Logger) {
    // On standard output its lines stand among those of the other log.
    const options = {
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: () => ({ log: 'audit' }) },
    };
    this.#records = destination && pino(options, destination);
    this.#log = log;
  }

  /**
   * Somebody was let in, and may use a terminal of this policy.
   * @throws AuditUnavailableError where that can't be recorded
   */
  admitted({ identity, key }: Route, requestId: string | null): void {
    const { admittedBy, groups, subject } = identity;
    const failure = this.#record({
      event: 'admitted',
      ...terminalFields(key),
      admittedBy,
      ...(groups === null ? {} : { groups: groups.map(({ name }) => name) }),
      ...(subject === undefined ? {} : { subject }),
      ...requested(requestId),
    });
    if (failure === null) return;
    throw new AuditUnavailableError(
      'The audit log can not be written, and nobody is let in unrecorded.',
      'An administrator has to look at it; the log of Terminals says why. Then try again.',
      { cause: failure },
    );
  }

  /** Somebody was not let in, or not to the policy they asked for. */
  refused(
    error: unknown,
    by: { readonly user: string | undefined; readonly requestId: string | null },
  ): void {
    this.#record({
      event: 'refused',
      claimedUser: by.user,
      reason: error instanceof TerminalsError ? error.code : 'internal',
      ...requested(by.requestId),
    });
  }

  /** A terminal was made, started, changed, replaced, reset, stopped or deleted. */
  acted(act: Act, { key, name }: AuditedTerminal, reason: string): void {
    this.#record({ event: act, terminal: name, ...terminalFields(key), reason });
  }

  /** Somebody changed a terminal by hand. */
  drifted({ key, name }: AuditedTerminal, { kind, changes }: Drift): void {
    this.#record({ event: 'drift', terminal: name, ...terminalFields(key), kind, changes });
  }

  /** The policies in force changed. */
  policiesChanged(next: PolicySet, previous: PolicySet): void {
    const ids = new Set([...next.policies.keys(), ...previous.policies.keys()]);
    for (const id of ids) {
      const event = changeOf(next.policies.get(id), previous.policies.get(id));
      if (event !== null) this.#policyChanged(event, id, next, previous);
    }
  }

  /** @returns what it failed by */
  #record(fields: Readonly<Record<string, unknown>>): Error | null {
    try {
      this.#records?.info(fields);
      if (this.#failing) this.#log.info('the audit log is written again');
      this.#failing = false;
      return null;
    } catch (error) {
      if (!this.#failing)
        this.#log.error({ err: error }, 'the audit log can not be written: nobody is let in until it can');
      this.#failing = true;
      return error instanceof Error ? error : new Error(String(error));
    }
  }

  #policyChanged(event: string, id: PolicyId, next: PolicySet, previous: PolicySet): void {
    const place = (next.policies.get(id) ?? previous.policies.get(id))?.declaredAt;
    const file = place && `${place.file}:${place.line}`;
    this.#record({
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
  if (config.auditLog === 'stdout') return new Lines(1);
  const { file } = config.auditLog;
  mkdirSync(path.dirname(file), { recursive: true });
  return new Lines(openSync(file, 'a', 0o600));
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
