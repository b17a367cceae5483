/**
 * Waiting until a terminal's server answers `GET /health`.
 * @module
 */
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { StartTimeoutError } from '../errors.ts';
import { http } from '../node-http.ts';
import type { Address } from '../terminal/terminal.ts';

export interface HealthWait {
  /** Where it may answer, the best first; the first of them that answers is taken. */
  readonly candidates: readonly Address[];
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Tries come this often while a plain start would end, and then ever more seldom. */
const eagerMs = { every: 50, until: 2_000 };
const slowestMs = 500;
/** One try; an address that can't be reached at all would hang for minutes. */
const tryTimeoutMs = 1_000;
/** How long a better address may be behind a worse one that has answered. */
const graceMs = 100;

/**
 * Asks all candidates until one answers 200.
 * @throws StartTimeoutError, or the signal's reason
 */
export async function waitHealthy({ candidates, timeoutMs, signal }: HealthWait): Promise<Address> {
  const began = performance.now();
  let pause = eagerMs.every;
  for (;;) {
    signal.throwIfAborted();
    const healthy = await firstHealthy(candidates, signal);
    if (healthy) return healthy;
    const spent = performance.now() - began;
    if (spent + pause > timeoutMs) throw tooLate(timeoutMs);
    await sleep(pause, undefined, { signal });
    if (spent > eagerMs.until) pause = Math.min(pause * 1.5, slowestMs);
  }
}

function tooLate(timeoutMs: number): StartTimeoutError {
  return new StartTimeoutError(
    `The terminal did not answer within ${timeoutMs / 1000} seconds of its start.`,
    'Look at its log; if it only needs longer, e.g. to install packages, raise startTimeoutSeconds in the policy.',
  );
}

async function firstHealthy(candidates: readonly Address[], signal: AbortSignal): Promise<Address | null> {
  const [only, ...others] = candidates;
  if (only === undefined) return null;
  if (others.length === 0) return (await isHealthy(only, signal)) ? only : null;
  const asked = candidates.map(async (address) => ({ address, healthy: await isHealthy(address, signal) }));
  const any = await Promise.race([...asked.map(ifHealthy), Promise.all(asked).then(() => null)]);
  if (any === null || any === only) return any;
  // It may have come up just after it was asked, and whoever can't be reached now is not asked again later.
  const again = asked[0]?.then(({ healthy }) => healthy || isHealthy(only, signal));
  return (await Promise.race([again, sleep(graceMs, false)])) ? only : any;
}

/** Settles only for one that is healthy. */
async function ifHealthy(asked: Promise<{ address: Address; healthy: boolean }>): Promise<Address> {
  const { address, healthy } = await asked;
  return healthy ? address : new Promise<never>(() => undefined);
}

/** Whether one `GET /health` is answered with 200; never rejects. */
export function isHealthy({ host, port }: Address, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const request = http.get({ host, port, path: '/health', agent: false, timeout: tryTimeoutMs, signal });
    request.on('response', (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
    request.on('close', () => resolve(false));
  });
}

/** Whether nobody listens there, so that connections are refused; never rejects. */
export function isRefused({ host, port }: Address, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ host, port, timeout: tryTimeoutMs, signal });
    const over = (refused: boolean) => {
      socket.destroy();
      resolve(refused);
    };
    socket.on('connect', () => over(false));
    socket.on('timeout', () => over(false));
    socket.on('error', (error) => over('code' in error && error.code === 'ECONNREFUSED'));
  });
}
