/** The little that the bench asks of the engine itself, by its command line. @module */
import { run, until } from './processes.ts';

export const image = 'bench-upstream:latest';
/** Users of the bench; their terminals are removed at the end, and nobody else's. */
export const userPrefix = 'bench-';
const label = 'terminals-bench';
const userLabel = 'openwebui.com/user-id';
/** The policy of terminals that are kept warm: those name no user. */
export const warmPolicy = 'bench-warm';

export function docker(...args: readonly string[]): Promise<string> {
  return run('docker', args, 120_000);
}

/** Where a container is reached, and its key. */
export interface Container {
  readonly name: string;
  readonly host: string;
  readonly key: string;
}

/** The container that Terminals made for a user. */
export async function containerOf(user: string): Promise<Container> {
  const name = await docker('ps', '--filter', `label=${userLabel}=${user}`, '--format', '{{.Names}}');
  const format = '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}} {{json .Config.Env}}';
  const [host = '', variables = '[]'] = (await docker('inspect', '--format', format, name)).split(/ (.*)/s);
  const key = /OPEN_TERMINAL_API_KEY=([^"]+)/.exec(variables)?.[1] ?? '';
  return { name, host, key };
}

export interface BareRun {
  readonly name: string;
  readonly port: number;
  /** A folder that is its home, as a terminal has one. */
  readonly home: string;
}

/**
 * `docker run` of what Terminals makes for a user (network, limits, home, published port), until its first /health 200.
 * @returns milliseconds
 */
export async function dockerRun({ name, port, home }: BareRun, pollMs: number): Promise<number> {
  const began = performance.now();
  const limits = ['--cpus', '2', '--memory', '1g', '--memory-swap', '1g', '--pids-limit', '512'];
  const place = ['--network', 'terminals', '--publish', `127.0.0.1:${port}:8000`];
  const mount = ['--mount', `type=bind,source=${home},target=/home/user`];
  const args = ['--detach', '--name', name, '--label', label, '--env', 'OPEN_TERMINAL_API_KEY=bench'];
  await docker('run', ...args, ...limits, ...place, ...mount, image);
  await until(
    async () => {
      const response = await fetch(`http://127.0.0.1:${port}/health`).catch(() => null);
      await response?.arrayBuffer();
      return response?.status === 200 ? true : undefined;
    },
    60_000,
    `${name} healthy`,
    pollMs,
  );
  return performance.now() - began;
}

/** Removes every container of the bench: bare ones, and terminals of its users. */
export async function removeAll(): Promise<void> {
  const bare = await docker('ps', '--all', '--quiet', '--filter', `label=${label}`);
  const format = `{{.ID}} {{.Label "${userLabel}"}}`;
  const terminals = await docker('ps', '--all', '--filter', 'label=managed-by=terminals', '--format', format);
  const warm = await docker('ps', '--all', '--quiet', '--filter', `label=openwebui.com/policy=${warmPolicy}`);
  const ours = terminals.split('\n').filter((line) => line.split(' ')[1]?.startsWith(userPrefix));
  const others = [bare, warm].flatMap((lines) => lines.split('\n').filter(Boolean));
  await remove([...others, ...ours.map((line) => line.split(' ')[0] ?? '')]);
}

/** Removes containers, several at once. */
export async function remove(ids: readonly string[]): Promise<void> {
  const left = [...ids];
  const next = async (): Promise<void> => {
    for (let some = left.splice(0, 5); some.length > 0; some = left.splice(0, 5)) {
      await docker('rm', '--force', '--volumes', ...some).catch(() => '');
    }
  };
  await Promise.all([next(), next(), next(), next()]);
}
