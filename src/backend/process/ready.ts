/**
 * What all terminals need before the first of them starts: the folders, Open Terminal, and how far users can be kept apart.
 * @module
 */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import type { Logger } from 'pino';
import type { Progress } from '../backend.ts';
import { type Separation, trialUid, trySeparation } from './accounts.ts';
import type { Variables } from './environment.ts';
import { letPass } from './homes.ts';
import { installOpenTerminal, ownFolder } from './install.ts';
import { makePassable } from './state.ts';

export interface Ready {
  /** The interpreter that has Open Terminal. */
  readonly python: string;
  readonly separation: Separation;
}

export interface ReadyOptions {
  readonly dataDir: string;
  readonly python?: string | undefined;
  readonly environment: Variables;
  readonly log: Logger;
}

/** The folder of the terminals' states. */
export function statesFolder(dataDir: string): string {
  return path.join(ownFolder(dataDir), 'process');
}

const never = ['image', 'cpu limit', 'memory limit', 'pids limit', 'persistence.size', 'apt packages'];

/** What a policy may ask and processes don't give. */
export function notEnforced(ready: Ready | undefined): readonly string[] {
  const separate = ready ? ready.separation.separate === true : process.getuid?.() === 0;
  const isolation = separate ? [] : ['isolation between users (run as root, or use Docker)'];
  return [...never, 'egress.allowedDomains', 'mounts', 'podTemplate', 'warm', ...isolation];
}

/** @throws EngineUnavailableError, or the signal's reason */
export async function makeReady(
  options: ReadyOptions,
  progress: Progress,
  signal: AbortSignal,
): Promise<Ready> {
  const { dataDir, log, python, environment } = options;
  const root = process.getuid?.() === 0;
  await mkdir(dataDir, { recursive: true });
  if (root) await letPass(dataDir);
  const states = statesFolder(dataDir);
  for (const folder of [ownFolder(dataDir), states]) await makePassable(folder);
  const usableBy = root ? trialUid : undefined;
  const interpreter = await installOpenTerminal({ dataDir, python, environment, progress, signal, usableBy });
  const separation = await trySeparation(interpreter, states, signal);
  if (root && separation.separate !== true) {
    log.warn({ reason: separation.separate }, 'all terminals run as root, with the rights of root');
  }
  return { python: interpreter, separation };
}
