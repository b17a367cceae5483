/** Terminals as its users run it: the real program, shared key, log at info to a file, terminals on Docker. @module */
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, open, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { image } from '../docker.ts';
import { end, start, until } from '../processes.ts';

export const launcher = fileURLToPath(new URL('../../src/terminals.js', import.meta.url));
/** What the image sets for Node, so that what is measured is what runs. */
export const nodeOptions =
  /^ENV NODE_OPTIONS=(\S+)$/m.exec(readFileSync(new URL('../../Dockerfile', import.meta.url), 'utf8'))?.[1] ??
  '';
export const sharedKey = 'the-shared-key-of-the-bench';

export interface TerminalsOptions {
  /** Where its policies, homes and log are. */
  readonly folder: string;
  readonly port: number;
  /** Arguments of Node itself, e.g. for a profile. */
  readonly nodeArgs?: readonly string[];
  /** Configuration beside what every contender has. */
  readonly variables?: Readonly<Record<string, string>>;
}

export interface TerminalsProgram {
  readonly url: string;
  readonly pid: number;
  /** When it was started, by `performance.now()`. */
  readonly startedAt: number;
  /** From start to listening, in milliseconds, by its own log. */
  readonly startMs: number;
  readonly logFile: string;
  stop(): Promise<void>;
}

/** As much of a machine as a bare contender has; never idle, so that nothing happens in the middle of a load. */
const policy = `apiVersion: terminals.openwebui.com/v1alpha1
kind: Policy
metadata: {name: default}
spec:
  resources: {limits: {cpu: "2", memory: 1Gi}}
  idleTimeoutMinutes: 0
`;

/** Who asks, as Open WebUI says it. */
export function callerHeaders(user: string): Readonly<Record<string, string>> {
  return { authorization: `Bearer ${sharedKey}`, 'x-user-id': user };
}

/** Starts it; resolves when it listens and its discovery is done, so that nothing of its start is in a measurement. */
export async function startTerminals(options: TerminalsOptions): Promise<TerminalsProgram> {
  const { folder, port, nodeArgs = [] } = options;
  await mkdir(path.join(folder, 'policies'), { recursive: true });
  await writeFile(path.join(folder, 'policies', 'default.yaml'), policy);
  const logFile = path.join(folder, 'terminals.log');
  const log = await open(logFile, 'w');
  const startedAt = performance.now();
  const epoch = Date.now();
  const child = start(process.execPath, [...nodeArgs, launcher, 'serve'], {
    cwd: folder,
    env: { ...environment(folder, port), ...options.variables },
    stdio: ['ignore', log.fd, log.fd],
  });
  await log.close();
  const listeningAt = await until(() => listening(child, logFile), 30_000, 'Terminals listens').catch(
    async (error: unknown) => {
      await end(child);
      throw error;
    },
  );
  return {
    url: `http://127.0.0.1:${port}`,
    pid: child.pid ?? 0,
    startedAt,
    startMs: listeningAt - epoch,
    logFile,
    stop: () => end(child),
  };
}

/** Resolves when the discovery of its policy is over. */
export async function discovered(program: TerminalsProgram): Promise<void> {
  const asked = async () => {
    const response = await fetch(`${program.url}/openapi.json`, {
      headers: { authorization: `Bearer ${sharedKey}` },
    });
    await response.arrayBuffer();
    return response.ok ? true : undefined;
  };
  await until(asked, 60_000, 'discovery', 50).catch(async (error: Error) => {
    const log = await readFile(program.logFile, 'utf8');
    throw new Error(`${error.message}; the log ends with:\n${log.slice(-2000)}`, { cause: error });
  });
}

function environment(folder: string, port: number): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('TERMINALS_'));
  return {
    ...Object.fromEntries(inherited),
    NODE_OPTIONS: nodeOptions,
    TERMINALS_BACKEND: 'docker',
    TERMINALS_API_KEY: sharedKey,
    TERMINALS_IMAGE: image,
    TERMINALS_HOST: '127.0.0.1',
    TERMINALS_PORT: String(port),
    TERMINALS_DATA_DIR: path.join(folder, 'data'),
    TERMINALS_POLICIES_DIR: path.join(folder, 'policies'),
    TERMINALS_LOG_LEVEL: 'info',
  };
}

/** The time of the log line that says so; epoch milliseconds. */
async function listening(child: ChildProcess, logFile: string): Promise<number | undefined> {
  const text = await readFile(logFile, 'utf8');
  if (child.exitCode !== null) throw new Error(`Terminals ended:\n${text}`);
  const line = text.split('\n').find((one) => one.includes('"msg":"listening"'));
  const time = line && /"time":"([^"]+)"/.exec(line)?.[1];
  return time ? Date.parse(time) : undefined;
}
