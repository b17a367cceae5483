/**
 * What packages cost a start on Docker: a terminal with five Python packages from a baked image, beside one without any, and
 * one that installs them at its start as is done where there is no such image. `node bench/baked.ts [rounds]`
 * @module
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import pino from 'pino';
import { DockerBackend } from '../src/backend/docker/docker-backend.ts';
import { type Declaration, desiredOf, renderTemplate } from '../src/terminal/desired.ts';
import type { Desired, PolicyId, UserId } from '../src/terminal/terminal.ts';
import { userPrefix } from './docker.ts';
import { paired, summary } from './statistics.ts';

const pipPackages = ['six', 'toml', 'idna', 'wcwidth', 'tabulate'];
const goal = 1.2;
const declaration: Declaration = {
  image: process.env.TERMINALS_IMAGE || 'ghcr.io/open-webui/open-terminal:latest',
  resources: { limits: { cpu: '2', memory: '1Gi', pids: 512 } },
  packages: [],
  pipPackages: [],
  persistence: { enabled: true },
  idleTimeoutMinutes: 0,
  contextRetentionDays: 0,
  env: {},
  mounts: [],
  rollout: { when: 'idle', idleAfterMinutes: 5, maxUnavailable: 1, pauseOnFailures: 3 },
  startTimeoutSeconds: 300,
  suspend: false,
};
const contenders = {
  without: declaration,
  baked: { ...declaration, pipPackages },
  // What Terminals asks of the image where there is no baked one.
  installing: { ...declaration, env: { OPEN_TERMINAL_PIP_PACKAGES: pipPackages.join(' ') } },
} as const;
type Contender = keyof typeof contenders;
const names: readonly Contender[] = ['without', 'baked', 'installing'];

const signal = AbortSignal.timeout(15 * 60_000);
const quiet = () => undefined;

function desired(contender: Contender): Desired {
  const user = `${userPrefix}${randomUUID().slice(0, 8)}` as UserId;
  const key = { policy: `bench-baked-${contender}` as PolicyId, user, context: null };
  return desiredOf(key, renderTemplate(contenders[contender]));
}

/** @returns milliseconds from nothing to healthy */
async function startOf(backend: DockerBackend, contender: Contender): Promise<number> {
  const terminal = desired(contender);
  const began = performance.now();
  try {
    await backend.create(terminal, quiet, signal);
    return performance.now() - began;
  } finally {
    await backend.remove(terminal.key, { files: true }, signal);
  }
}

async function main(rounds: number): Promise<void> {
  const dataDir = await mkdtemp(path.join(os.tmpdir(), 'terminals-bench-'));
  const log = pino({ level: 'silent' });
  const options = { dataDir, networks: [], publishHost: '127.0.0.1', mounts: [], log };
  const backend = new DockerBackend({ ...options, baking: { keepUnusedMs: 0 } });
  const ms: Record<Contender, number[]> = { without: [], baked: [], installing: [] };
  try {
    const { workload } = desired('baked');
    const began = performance.now();
    await backend.prepare(workload, quiet, signal);
    const trouble = backend.trouble(workload);
    if (trouble !== null) throw new Error(trouble);
    process.stdout.write(`baked in ${Math.round(performance.now() - began)} ms (0: it was there)\n\n`);
    // The first round fills caches, and is not counted.
    for (let round = 0; round <= rounds; round += 1) {
      for (const contender of names) {
        const took = await startOf(backend, contender);
        if (round > 0) ms[contender].push(took);
      }
    }
    report(ms);
  } finally {
    await backend.collect([], signal);
    await backend.close();
    await rm(dataDir, { recursive: true, force: true });
  }
}

function report(ms: Readonly<Record<Contender, readonly number[]>>): void {
  const ratios = (name: Contender) => summary(paired(ms[name], ms.without, (a, b) => a / b));
  process.stdout.write('| start → healthy | ms | over one without packages |\n| --- | --- | --- |\n');
  for (const name of names) {
    const { median, low, high } = summary(ms[name]);
    const ratio = ratios(name);
    const times = `${ratio.median.toFixed(2)} (${ratio.low.toFixed(2)} – ${ratio.high.toFixed(2)}) ×`;
    process.stdout.write(
      `| ${name} | ${Math.round(median)} (${Math.round(low)} – ${Math.round(high)}) | ${times} |\n`,
    );
  }
  const met = ratios('baked').median <= goal;
  process.stdout.write(`\n5 packages baked ≤ ${goal} ×: ${met ? 'yes' : 'NO'}\n`);
}

await main(Number(process.argv[2] ?? 7));
