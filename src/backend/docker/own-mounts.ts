/**
 * Where Terminals itself runs in a container, a path it sees is another one on the engine's host: found in its own mounts.
 * @module
 */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import type Docker from 'dockerode';
import { EngineUnavailableError, TerminalsError } from '../../errors.ts';
import { engineCall, statusOf } from './engine.ts';

export interface OwnMount {
  /** Path on the engine's host; of a volume: where the engine keeps its data. */
  readonly source: string;
  /** Path in our container. */
  readonly destination: string;
}

/** The host's path of one of ours; null where no mount holds it, so that it would be lost with our container. */
export function translate(file: string, mounts: readonly OwnMount[]): string | null {
  const holding = mounts
    .filter(
      ({ destination }) => file === destination || file.startsWith(`${destination.replace(/\/$/, '')}/`),
    )
    .sort((a, b) => b.destination.length - a.destination.length)[0];
  // A mount without a source is in memory only.
  if (holding === undefined || holding.source === '') return null;
  return path.posix.join(holding.source, path.posix.relative(holding.destination, file));
}

/** The id of the container that this process runs in, from the files Docker mounts into every one; null outside of one. */
export function ownContainerId(mountinfo: string): string | null {
  return /\/containers\/([0-9a-f]{64})\/(?:hostname|resolv\.conf|hosts)/.exec(mountinfo)?.[1] ?? null;
}

/**
 * Gives the function that turns our paths into the engine host's.
 * @throws EngineUnavailableError; StorageError where the data directory is not on a mount
 */
export async function hostPaths(
  docker: Docker,
  dataDir: string,
  signal: AbortSignal,
): Promise<(file: string) => string> {
  const mounts = await ownMounts(docker, signal);
  if (mounts === null) return (file) => file;
  if (translate(dataDir, mounts) === null) throw new StorageError(dataDir);
  return (file) => translate(file, mounts) ?? file;
}

/** Terminals runs in a container, and the homes would be lost with it. */
export class StorageError extends TerminalsError {
  readonly code = 'start-failed';
  readonly status = 503;
  constructor(dataDir: string) {
    super(
      `Terminals runs in a container, and its data directory ${dataDir} is on none of the container's mounts.`,
      'Mount a volume or a directory of the host there; the homes are handed to the terminals from it.',
    );
  }
}

async function ownMounts(docker: Docker, signal: AbortSignal): Promise<readonly OwnMount[] | null> {
  const mountinfo = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '');
  const id = ownContainerId(mountinfo);
  if (id === null) return null;
  try {
    const info = await engineCall(signal, (abortSignal) => docker.getContainer(id).inspect({ abortSignal }));
    return info.Mounts.map(({ Source: source, Destination: destination }) => ({ source, destination }));
  } catch (error) {
    // A container of another engine than the one we command: there is nothing to translate by.
    if (statusOf(error) === 404) return null;
    throw error instanceof EngineUnavailableError
      ? error
      : new EngineUnavailableError(
          "The own container can't be inspected.",
          'Allow GET /containers/{id}/json on the Docker socket.',
          { cause: error },
        );
  }
}
