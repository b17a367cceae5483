/** Terminals of a known shape for tests of the pure heart. */
import { type Declaration, fingerprintOf, renderTemplate } from '../../src/terminal/desired.ts';
import { terminalName } from '../../src/terminal/names.ts';
import type {
  Desired,
  IdleTerminal,
  PolicyId,
  RunningTerminal,
  TerminalKey,
  UserId,
} from '../../src/terminal/terminal.ts';

export const minute = 60_000;
export const aliceKey: TerminalKey = {
  policy: 'default' as PolicyId,
  user: 'alice' as UserId,
  context: null,
};

/** The part of a rollout that most tests are not about. */
export const steady = { maxUnavailable: '10%', pauseOnFailures: 3 } as const;

export const declaration: Declaration = {
  image: 'open-terminal:1',
  resources: { limits: { cpu: '1', memory: '1Gi', pids: 2048 } },
  packages: [],
  pipPackages: [],
  persistence: { enabled: true },
  idleTimeoutMinutes: 30,
  contextRetentionDays: 30,
  env: {},
  mounts: [],
  rollout: { when: 'idle', idleAfterMinutes: 5, ...steady },
  suspend: false,
};

export function desired(changes: Partial<Declaration> = {}, key: TerminalKey = aliceKey): Desired {
  return { key, name: terminalName(key), ...renderTemplate({ ...declaration, ...changes }) };
}

/** A terminal that runs as this desired state says. */
export function running(from: Desired = desired(), startedAt = 0): RunningTerminal {
  return {
    phase: 'Running',
    key: from.key,
    name: from.name,
    revision: from.revision,
    fingerprint: fingerprintOf(from.workload),
    limits: from.limits,
    idleTimeoutMs: from.idleTimeoutMs,
    address: { host: '127.0.0.1', port: 1 },
    apiKey: 'terminal-key',
    startedAt,
  };
}

export function idle(from: Desired = desired()): IdleTerminal {
  const { key, name, revision, fingerprint, limits, idleTimeoutMs } = running(from);
  return { phase: 'Idle', key, name, revision, fingerprint, limits, idleTimeoutMs };
}
