/**
 * Which Python of this machine is new enough to run Open Terminal.
 * @module
 */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { EngineUnavailableError } from '../../errors.ts';
import { run } from './run.ts';

export interface Python {
  /** How it was found and is called. */
  readonly command: string;
  /** The interpreter itself, behind any shim. */
  readonly executable: string;
  readonly version: readonly [major: number, minor: number];
}

export interface PythonSearch {
  /** Only this one, where given. */
  readonly python?: string | undefined;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly signal: AbortSignal;
}

const oldest = [3, 11] as const;
const alsoIn = ['/usr/local/bin', '/usr/bin'];
const queryTimeoutMs = 20_000;
const query =
  'import json, sys; print(json.dumps([sys.executable, sys.version_info[0], sys.version_info[1]]))';

/**
 * All usable interpreters, the best first: `python3` as the user has it, then the newest.
 * @throws EngineUnavailableError that says what was found and what to install
 */
export async function findPythons(search: PythonSearch): Promise<readonly [Python, ...Python[]]> {
  const commands = search.python === undefined ? await candidates(search.env.PATH ?? '') : [search.python];
  const found: Python[] = [];
  for (const command of commands) {
    const python = await inquire(command, search);
    if (python && !found.some(({ executable }) => executable === python.executable)) found.push(python);
  }
  const [first, ...others] = found.filter(({ version: [major, minor] }) => isNewEnough(major, minor));
  if (first) return [first, ...others];
  throw new EngineUnavailableError(
    `Running terminals as processes needs Python ${oldest.join('.')} or newer; ${inWords(found)}.`,
    'Install it, e.g. "apt install python3 python3-venv", or use Docker.',
  );
}

function isNewEnough(major: number, minor: number): boolean {
  return major > oldest[0] || (major === oldest[0] && minor >= oldest[1]);
}

function inWords(found: readonly Python[]): string {
  if (found.length === 0) return 'there is none here';
  return `here is only ${found.map(({ command, version }) => `${command} (${version.join('.')})`).join(', ')}`;
}

async function candidates(searchPath: string): Promise<readonly string[]> {
  const folders = [...new Set([...searchPath.split(path.delimiter).filter(path.isAbsolute), ...alsoIn])];
  const plain: string[] = [];
  const numbered: { command: string; minor: number }[] = [];
  for (const folder of folders) {
    for (const name of await readdir(folder).catch(() => [])) {
      const minor = /^python3(?:\.(\d+))?$/.exec(name);
      if (minor === null) continue;
      const command = path.join(folder, name);
      if (minor[1] === undefined) plain.push(command);
      else numbered.push({ command, minor: Number(minor[1]) });
    }
  }
  numbered.sort((a, b) => b.minor - a.minor);
  return [...plain, ...numbered.map(({ command }) => command)];
}

async function inquire(command: string, { env, cwd, signal }: PythonSearch): Promise<Python | null> {
  const { exitCode, output } = await run(command, ['-I', '-c', query], {
    env,
    cwd,
    signal,
    timeoutMs: queryTimeoutMs,
  });
  if (exitCode !== 0) return null;
  try {
    const [executable, major, minor]: unknown[] = JSON.parse(output);
    if (typeof executable !== 'string' || typeof major !== 'number' || typeof minor !== 'number') return null;
    return { command, executable, version: [major, minor] };
  } catch {
    return null;
  }
}
