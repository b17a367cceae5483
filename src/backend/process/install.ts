/**
 * Open Terminal itself: installed once into a Python environment below the data directory.
 *
 * `open-terminal-<version>/.complete` names the environment beside it and is written last, so that a half-made one never
 * counts. Each try has a folder of its own: a left-over installation that still runs can't write into ours.
 * @module
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { EngineUnavailableError } from '../../errors.ts';
import type { Progress } from '../backend.ts';
import { installerEnvironment, type Variables } from './environment.ts';
import { withLock } from './lock.ts';
import { findPythons, type Python } from './python.ts';
import { makeEnvironment, PythonEnvironmentError } from './python-environment.ts';
import { run } from './run.ts';

/** The version of Open Terminal that is installed. */
export const openTerminalVersion = '0.14.5';

export interface InstallOptions {
  /** Absolute; the environment is made in its folder `.terminals`. */
  readonly dataDir: string;
  /** The interpreter to use; absent: the best one of this machine. */
  readonly python?: string | undefined;
  /** The variables of this process; pip's and uv's own are honoured. */
  readonly environment: Variables;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  /** Preferred are interpreters that this user id can run; absent: any will do. */
  readonly usableBy?: number | undefined;
}

const timeoutMs = 10 * 60_000;
const checkTimeoutMs = 60_000;
const title = `Installing Open Terminal ${openTerminalVersion} (first start only)`;

/** The folder of everything that is ours below the data directory. */
export function ownFolder(dataDir: string): string {
  return path.join(dataDir, '.terminals');
}

/**
 * Makes sure that Open Terminal is installed; joined over processes by a lock file.
 * @returns the Python interpreter that has it
 * @throws EngineUnavailableError, or the signal's reason
 */
export async function installOpenTerminal(options: InstallOptions): Promise<string> {
  const folder = path.join(ownFolder(options.dataDir), `open-terminal-${openTerminalVersion}`);
  const there = await installed(folder);
  if (there) return there;
  const limit = AbortSignal.timeout(timeoutMs);
  try {
    return await install(folder, { ...options, signal: AbortSignal.any([options.signal, limit]) });
  } catch (error) {
    if (options.signal.aborted || !limit.aborted) throw error;
    throw new EngineUnavailableError(
      `Open Terminal could not be installed within ${timeoutMs / 60_000} minutes.`,
      'Check the network and the configuration of pip (PIP_INDEX_URL, pip.conf), then start again.',
    );
  }
}

async function install(folder: string, options: InstallOptions): Promise<string> {
  const { progress, signal } = options;
  await mkdir(folder, { recursive: true, mode: 0o711 });
  const waiting = (pid: number) => progress(`${title}: waiting for process ${pid}, which is at it already`);
  return withLock(`${folder}.lock`, async () => (await installed(folder)) ?? installInto(folder, options), {
    waiting,
    signal,
  });
}

/** The interpreter of a complete environment that still runs (its Python may have been removed since). */
async function installed(folder: string): Promise<string | null> {
  try {
    const name = (await readFile(path.join(folder, '.complete'), 'utf8')).trim();
    const python = path.join(folder, path.basename(name), 'bin/python');
    const { exitCode } = await run(python, ['-I', '-c', 'import open_terminal'], {
      env: {},
      cwd: folder,
      signal: AbortSignal.timeout(checkTimeoutMs),
      timeoutMs: checkTimeoutMs,
    });
    return exitCode === 0 ? python : null;
  } catch {
    return null;
  }
}

async function installInto(folder: string, { progress, ...options }: InstallOptions): Promise<string> {
  const began = performance.now();
  const runOptions = {
    env: installerEnvironment(options.environment),
    cwd: path.dirname(folder),
    signal: options.signal,
    timeoutMs,
  };
  const python = await choosePython(runOptions, options);
  await removeContent(folder);
  const name = `env-${randomUUID().slice(0, 8)}`;
  const environment = path.join(folder, name);
  try {
    await makeEnvironment({
      python: python.command,
      folder: environment,
      packages: [`open-terminal==${openTerminalVersion}`],
      options: runOptions,
      progress: (step) => progress(`${title}: ${step}`),
    });
  } catch (error) {
    await rm(environment, { recursive: true, force: true });
    throw error instanceof PythonEnvironmentError ? notInstalled(error, python) : error;
  }
  const own = path.join(environment, 'bin/python');
  const check = await run(own, ['-I', '-m', 'open_terminal', 'run', '--help'], runOptions);
  if (check.exitCode !== 0) {
    throw new EngineUnavailableError(
      `Open Terminal is installed but does not run: ${check.lines.join('\n')}`,
      `Try another interpreter; this one was ${python.executable}.`,
    );
  }
  await writeFile(path.join(folder, '.complete.new'), `${name}\n`, { mode: 0o644 });
  await rename(path.join(folder, '.complete.new'), path.join(folder, '.complete'));
  progress(`${title}: done in ${Math.round((performance.now() - began) / 1000)} s`);
  return own;
}

/** One that the terminals' users can run, where there is one. */
async function choosePython(
  runOptions: Parameters<typeof run>[2],
  { python, usableBy }: Omit<InstallOptions, 'progress'>,
): Promise<Python> {
  const { env, cwd, signal } = runOptions;
  const pythons = await findPythons({ python, env, cwd, signal });
  if (usableBy === undefined) return pythons[0];
  for (const one of pythons) {
    const tried = await run(one.executable, ['-I', '-c', 'import venv'], {
      ...runOptions,
      cwd: '/',
      timeoutMs: checkTimeoutMs,
      uid: usableBy,
    });
    if (tried.exitCode === 0) return one;
  }
  return pythons[0];
}

async function removeContent(folder: string): Promise<void> {
  for (const name of await readdir(folder))
    await rm(path.join(folder, name), { recursive: true, force: true });
}

function notInstalled(error: PythonEnvironmentError, python: Python): EngineUnavailableError {
  if (error.toolMissing) {
    return new EngineUnavailableError(
      `Open Terminal can't be installed: ${python.command} can't make a Python environment (${error.message}).`,
      'Install what is missing: "apt install python3-venv" (or uv), then start again.',
      { cause: error },
    );
  }
  return new EngineUnavailableError(
    `Open Terminal can't be installed. pip said:\n${error.lines.join('\n')}`,
    'Check the network and the configuration of pip (PIP_INDEX_URL, pip.conf), then start again.',
    { cause: error },
  );
}
