/**
 * Starting one terminal: home, packages, port, server, and its first answer.
 * @module
 */
import type { ChildProcess } from 'node:child_process';
import { userInfo } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { StartFailedError, StartTimeoutError } from '../../errors.ts';
import { fingerprintOf } from '../../terminal/desired.ts';
import type { Desired } from '../../terminal/terminal.ts';
import type { Progress } from '../backend.ts';
import { waitHealthy } from '../health.ts';
import { masked, secretsAmong } from '../masked.ts';
import type { SecretFiles } from '../secret-files.ts';
import { accountName, writeAccountFiles } from './account-names.ts';
import { terminalEnvironment, type Variables } from './environment.ts';
import { installPipPackages, pipFolder, prepareHome } from './homes.ts';
import { bornOf, listensOn } from './processes.ts';
import { lastLines } from './run.ts';
import { freePort, loopback, type ServerOrder, startServer } from './server.ts';
import { readLog, type States, type TerminalRecord } from './state.ts';

export interface Launching {
  readonly dataDir: string;
  readonly environment: Variables;
  readonly secrets: SecretFiles;
  readonly states: States;
  readonly log: Logger;
  /** The interpreter that has Open Terminal. */
  readonly python: string;
  /** The user's own uid; null: it runs as we do. */
  readonly uid: number | null;
  readonly named: boolean;
  /** Told of every server that is started. */
  readonly started: (born: string, child: ChildProcess & { readonly pid: number }) => void;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

type Server = NonNullable<TerminalRecord['server']>;

export interface Waiting extends Pick<Launching, 'states' | 'log' | 'signal'> {
  /** What was given to the server and is not to be seen in what it wrote. */
  readonly secrets: readonly string[];
}

const portAttempts = 3;
const livenessMs = 100;

/**
 * Starts a terminal that does not run, and waits until it is healthy. Its record says before every step what may be there
 * after it.
 * @param known its last record, if it ran before
 * @throws StartFailedError, StartTimeoutError, or the signal's reason; the server may be left running then
 */
export async function launch(
  desired: Desired,
  known: TerminalRecord | null,
  how: Launching,
): Promise<TerminalRecord> {
  const { states, uid } = how;
  const { name } = desired;
  const deadline = performance.now() + desired.startTimeoutMs;
  const apiKey = await states.apiKey(name);
  let record: TerminalRecord = {
    key: desired.key,
    server: null,
    starting: true,
    healthy: false,
    uid,
    port: 0,
    startedAt: Date.now(),
    revision: desired.revision,
    fingerprint: fingerprintOf(desired.workload),
    idleTimeoutMs: desired.idleTimeoutMs,
    pipPackages: known?.pipPackages ?? [],
  };
  await states.write(name, record);
  const order = await prepareOrder(desired, record, apiKey, deadline, how);
  record = { ...record, pipPackages: desired.workload.pipPackages };
  const variables = Object.entries(order.env).map(([name, value]) => `${name}=${value}`);
  const waiting = { ...how, secrets: [apiKey, ...secretsAmong(variables, record.fingerprint)] };
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    record = { ...record, port, server: null, starting: true, startedAt: Date.now() };
    await states.write(name, record);
    const server = await start({ ...order, port }, how);
    record = { ...record, server, starting: false };
    await states.write(name, record);
    const outcome = await untilHealthy(desired, server, port, deadline - performance.now(), waiting);
    if (outcome === 'healthy') break;
    if (attempt === portAttempts)
      throw new StartFailedError('No free port was found for the terminal.', 'Try again.');
  }
  record = { ...record, healthy: true };
  await states.write(name, record);
  return record;
}

async function prepareOrder(
  desired: Desired,
  record: TerminalRecord,
  apiKey: string,
  deadline: number,
  how: Launching,
): Promise<Omit<ServerOrder, 'port'>> {
  const { dataDir, states, uid, python, progress, signal } = how;
  const { pipPackages, env: declared } = desired.workload;
  const secrets = await how.secrets.variables(desired);
  const stateFolder = states.folderOf(desired.name);
  const passingHome = states.homeOf(desired.name);
  const home = await prepareHome(desired, { dataDir, passingHome, uid }, signal);
  const named = uid !== null && how.named;
  const around = {
    environment: how.environment,
    home,
    account: uid === null ? userInfo().username : accountName,
    first: [
      ...(pipPackages.length > 0 ? [path.join(pipFolder(home), 'bin')] : []),
      path.join(home, '.local/bin'),
    ],
    separate: uid !== null,
  };
  const env = terminalEnvironment({ ...around, policy: { ...declared, ...secrets } });
  if (pipPackages.length > 0 && pipPackages.join('\n') !== record.pipPackages.join('\n')) {
    progress('installing pip packages');
    const timeoutMs = Math.max(1, deadline - performance.now());
    // The installers of packages are somebody else's programs: no secret is for them.
    const plain = terminalEnvironment({ ...around, policy: declared });
    await installPipPackages({ python, home, packages: pipPackages, env: plain, uid, timeoutMs, signal });
  }
  progress('starting');
  const accountFiles = named
    ? await writeAccountFiles({ folder: stateFolder, uid, home, shell: env.SHELL ?? '/bin/sh' })
    : null;
  return {
    python,
    home,
    stateFolder,
    marker: await states.marker(desired.name),
    apiKey,
    env,
    uid,
    accountFiles,
  };
}

async function start(order: ServerOrder, how: Launching): Promise<Server> {
  try {
    const child = await startServer(order);
    const born = await bornOf(child.pid);
    how.started(born ?? '', child);
    return { pid: child.pid, born: born ?? '' };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new StartFailedError(`The terminal can't be started: ${reason}.`, 'Look at the log of Terminals.', {
      cause: error,
    });
  }
}

/**
 * Waits until a server answers.
 * @returns `port-taken` where another process was faster to take the port
 * @throws StartFailedError as soon as it ends, StartTimeoutError
 */
export async function untilHealthy(
  desired: Desired,
  server: Server,
  port: number,
  timeoutMs: number,
  { states, log, secrets, signal }: Waiting,
): Promise<'healthy' | 'port-taken'> {
  const over = new AbortController();
  const either = AbortSignal.any([signal, over.signal]);
  const folder = states.folderOf(desired.name);
  const healthy = waitHealthy({ candidates: [{ host: loopback, port }], timeoutMs, signal: either });
  const ended = untilEnded(server, either);
  try {
    const first = await Promise.race([healthy.then(() => 'healthy' as const), ended]);
    if (first === 'healthy') return listensOn(server.pid, port) ? 'healthy' : 'port-taken';
    const lines = masked(lastLines(await readLog(folder)), secrets);
    if (lines.some((line) => line.includes('address already in use'))) return 'port-taken';
    log.warn({ terminal: desired.name, lines }, 'the terminal ended while it started');
    throw new StartFailedError(
      `The terminal ended while it started${lines.length > 0 ? `: ${lines.at(-1)}` : ''}.`,
      'The last lines of its log are in the log of Terminals.',
      { lastLines: lines },
    );
  } catch (error) {
    if (!(error instanceof StartTimeoutError)) throw error;
    const lines = masked(lastLines(await readLog(folder)), secrets);
    log.warn({ terminal: desired.name, lines }, 'the terminal does not answer');
    throw new StartTimeoutError(error.message, error.hint, { lastLines: lines });
  } finally {
    over.abort();
    healthy.catch(() => undefined);
    ended.catch(() => undefined);
  }
}

async function untilEnded({ pid, born }: Server, signal: AbortSignal): Promise<'ended'> {
  while ((await bornOf(pid)) === born) await sleep(livenessMs, undefined, { signal });
  return 'ended';
}
