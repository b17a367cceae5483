/**
 * One bake: the packages of a policy installed in a container of its image, and that committed as an image.
 * @module
 */
import type Docker from 'dockerode';
import type { Container } from 'dockerode';
import type { Progress } from '../backend.ts';
import { labels, managedBy } from './container.ts';
import { engineCall, statusOf } from './engine.ts';
import { lastLines } from './logs.ts';
import { bakedConfig, bakedRepository, bakingPrefix, type Recipe } from './recipe.ts';
import { exitCodeOf, removeContainer } from './short-lived.ts';

/** Large packages take minutes to download, and longer where they are compiled. */
const bakeLimitMs = 30 * 60_000;
/** Of a large layer. */
const commitLimitMs = 5 * 60_000;
const progressEveryMs = 2_000;
const longestDetail = 120;
/** A bake is given none. */
const noSecrets: readonly string[] = [];

/**
 * Arguments: how many Debian packages there are, these, and the Python packages.
 * Python's go where all users find them. In /home/user the home, mounted over it, would hide them; and what a user installs
 * in there comes before them on Python's path.
 */
const script = `set -ef
umask 022
export HOME=/root DEBIAN_FRONTEND=noninteractive
export PIP_USER=0 PIP_BREAK_SYSTEM_PACKAGES=1 PIP_ROOT_USER_ACTION=ignore PIP_DISABLE_PIP_VERSION_CHECK=1
unset PIP_TARGET PIP_PREFIX PIP_ROOT
command -v pip >/dev/null || pip() { python3 -m pip "$@"; }
left=$1; shift
debian=
while [ "$left" -gt 0 ]; do debian="$debian $1"; shift; left=$((left - 1)); done
if [ -n "$debian" ]; then
  apt-get update -qq
  apt-get install -y -qq --no-install-recommends $debian
  apt-get clean
  find /var/lib/apt/lists -mindepth 1 -delete
fi
if [ $# -gt 0 ]; then pip install --no-cache-dir "$@"; fi`;

/** The install ended with an error, or took too long. */
export class BakeFailedError extends Error {}

/**
 * Resolves when the image is there; whatever happens, no container is left.
 * @param network as terminals have it; null: the engine's default. What a policy allows terminals to reach does not hold
 * here, as it does not while a terminal installs at its start
 * @throws BakeFailedError, EngineUnavailableError, and what else the engine refuses
 */
export async function bake(
  docker: Docker,
  recipe: Recipe,
  network: string | null,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const name = `${bakingPrefix}${recipe.hash}`;
  await removeLeftover(docker, name, signal);
  const options = { _query: { name }, _body: containerOf(recipe, network) };
  const container = await engineCall(signal, (abortSignal) =>
    docker.createContainer({ ...options, abortSignal }),
  );
  try {
    await install(docker, container, progress, signal);
    progress('keeping what was installed as an image');
    const query = { container: container.id, repo: bakedRepository, tag: recipe.hash };
    await engineCall(
      signal,
      (abortSignal) => container.commit({ _query: query, _body: bakedConfig(recipe), abortSignal }),
      commitLimitMs,
    );
  } finally {
    await removeContainer(container);
  }
}

/** What a crash left of an earlier try; one of that name that is not ours stays, and the engine says that it is there. */
async function removeLeftover(docker: Docker, name: string, signal: AbortSignal): Promise<void> {
  const container = docker.getContainer(name);
  try {
    const { Config: config } = await engineCall(signal, (abortSignal) => container.inspect({ abortSignal }));
    if (config.Labels[labels.kubernetesManagedBy] === managedBy) await removeContainer(container);
  } catch (error) {
    if (statusOf(error) !== 404) throw error;
  }
}

async function install(
  docker: Docker,
  container: Container,
  progress: Progress,
  signal: AbortSignal,
): Promise<void> {
  const limit = AbortSignal.timeout(bakeLimitMs);
  const either = AbortSignal.any([signal, limit]);
  const stopTelling = tellProgress(docker, container.id, progress);
  try {
    const exitCode = await exitCodeOf(container, either);
    if (exitCode === 0) return;
    const lines = await lastLines(docker, container.id, noSecrets);
    const said = lines.findLast((line) => /^(E|ERROR|error):/.test(line)) ?? lines.at(-1);
    throw new BakeFailedError(said ?? `the install ended with exit code ${exitCode}`);
  } catch (error) {
    if (!limit.aborted || signal.aborted || error instanceof BakeFailedError) throw error;
    throw new BakeFailedError(`the install took longer than ${bakeLimitMs / 60_000} minutes`);
  } finally {
    stopTelling();
  }
}

/** Tells the newest line of the install's output now and then. */
function tellProgress(docker: Docker, id: string, progress: Progress): () => void {
  progress('installing packages into an image');
  let told = '';
  let asking = false;
  let over = false;
  const timer = setInterval(async () => {
    if (asking) return;
    asking = true;
    const line = (await lastLines(docker, id, noSecrets)).at(-1)?.trim().slice(0, longestDetail) ?? '';
    asking = false;
    if (over || line === '' || line === told) return;
    told = line;
    progress(`installing packages into an image: ${line}`);
  }, progressEveryMs);
  return () => {
    over = true;
    clearInterval(timer);
  };
}

function containerOf({ base, packages, pipPackages, env }: Recipe, network: string | null) {
  return {
    Image: base.Id,
    Entrypoint: ['/bin/sh', '-c', script, 'bake'],
    Cmd: [String(packages.length), ...packages, ...pipPackages],
    User: '0:0',
    WorkingDir: '/',
    // These get into the image, where they change nothing: its terminals have the same from their policy.
    Env: [...env],
    // Not ours as terminals are: it is none.
    Labels: { [labels.kubernetesManagedBy]: managedBy },
    HostConfig: {
      CapDrop: ['MKNOD', 'NET_RAW'],
      PidsLimit: 4096,
      // Terminals in use come first.
      CpuShares: 256,
      LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '1' } },
      ...(network === null ? {} : { NetworkMode: network }),
    },
  };
}
