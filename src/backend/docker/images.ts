/**
 * Images: is it there, else pull it, with progress, once for all who want it.
 * @module
 */
import { readFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type Docker from 'dockerode';
import type { ImageInspectInfo } from 'dockerode';
import { ImagePullError, TerminalsError } from '../../errors.ts';
import type { Progress } from '../backend.ts';
import { engineCall, reasonOf, statusOf, unlimitedCall } from './engine.ts';

/** A pull that says nothing for this long has hung. */
const stallMs = 60_000;
const progressEveryMs = 1_000;

interface PullEvent {
  readonly id?: string;
  readonly error?: string;
  readonly progressDetail?: { readonly current?: number; readonly total?: number };
}

export class Images {
  readonly #docker: Docker;
  readonly #present = new Set<string>();
  readonly #pulling = new Map<string, Promise<void>>();

  constructor(docker: Docker) {
    this.#docker = docker;
  }

  /** The engine said that the image is not there, whatever was known. */
  forget(image: string): void {
    this.#present.delete(image);
  }

  /**
   * Makes sure that the image is on the engine.
   * @throws ImagePullError, EngineUnavailableError
   */
  async ensure(image: string, progress: Progress, signal: AbortSignal): Promise<void> {
    if (this.#present.has(image)) return;
    if ((await this.find(image, signal)) === null) await this.#pullOnce(image, progress, signal);
    this.#present.add(image);
  }

  /**
   * What an image is now, pulled if it is not on the engine.
   * @throws ImagePullError, EngineUnavailableError
   */
  async inspect(image: string, progress: Progress, signal: AbortSignal): Promise<ImageInspectInfo> {
    const found = await this.find(image, signal);
    if (found !== null) return found;
    this.forget(image);
    await this.ensure(image, progress, signal);
    return engineCall(signal, () => this.#docker.getImage(image).inspect());
  }

  /** What an image is now; null where it is not on the engine. */
  async find(image: string, signal: AbortSignal): Promise<ImageInspectInfo | null> {
    try {
      return await engineCall(signal, () => this.#docker.getImage(image).inspect());
    } catch (error) {
      if (statusOf(error) === 404) return null;
      throw error;
    }
  }

  #pullOnce(image: string, progress: Progress, signal: AbortSignal): Promise<void> {
    const joined = this.#pulling.get(image);
    if (joined) return joined;
    const pull = this.#pull(image, progress, signal).finally(() => this.#pulling.delete(image));
    this.#pulling.set(image, pull);
    return pull;
  }

  async #pull(image: string, progress: Progress, signal: AbortSignal): Promise<void> {
    progress(`pulling ${image}`);
    try {
      const authconfig = await registryAuth(image);
      const stream = await unlimitedCall(signal, (abortSignal) =>
        this.#docker.pull(image, { abortSignal, ...(authconfig ? { authconfig } : {}) }),
      );
      await this.#follow(stream, image, progress, signal);
    } catch (error) {
      if (signal.aborted || error instanceof TerminalsError) throw error;
      throw new ImagePullError(
        `The image ${image} is not on the Docker host and can't be pulled: ${reasonOf(error)}.`,
        'Check the name in the policy, the network, and whether the registry needs a login (docker login on the host of Terminals).',
        { cause: error },
      );
    }
  }

  #follow(
    stream: NodeJS.ReadableStream,
    image: string,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<void> {
    const layers = new Map<string, { current: number; total: number }>();
    let said = performance.now();
    return new Promise((resolve, reject) => {
      const stall = setTimeout(() => fail(new Error(`nothing came for ${stallMs / 1000} seconds`)), stallMs);
      const abort = () => fail(signal.reason);
      const fail = (error: unknown) => {
        done();
        if ('destroy' in stream && typeof stream.destroy === 'function') stream.destroy();
        reject(error);
      };
      const done = () => {
        clearTimeout(stall);
        signal.removeEventListener('abort', abort);
      };
      signal.addEventListener('abort', abort, { once: true });
      this.#docker.modem.followProgress(
        stream,
        (error) => {
          done();
          if (error) reject(error);
          else resolve();
        },
        (event: PullEvent) => {
          stall.refresh();
          if (event.error) fail(new Error(event.error));
          const { current, total } = event.progressDetail ?? {};
          if (event.id && current !== undefined && total) layers.set(event.id, { current, total });
          if (performance.now() - said < progressEveryMs || layers.size === 0) return;
          said = performance.now();
          progress(`pulling ${image}: ${percent([...layers.values()])} %`);
        },
      );
    });
  }
}

function percent(layers: readonly { current: number; total: number }[]): number {
  const sum = (field: 'current' | 'total') => layers.reduce((all, layer) => all + layer[field], 0);
  return Math.floor((100 * sum('current')) / sum('total'));
}

/** The login of an image's registry as `docker login` stored it; credential helpers are not asked. */
async function registryAuth(
  image: string,
): Promise<{ username: string; password: string; serveraddress: string } | null> {
  const first = image.split('/')[0] ?? '';
  const registry = /[.:]/.test(first) || first === 'localhost' ? first : 'https://index.docker.io/v1/';
  const directory = process.env.DOCKER_CONFIG ?? path.join(os.homedir(), '.docker');
  try {
    const config: unknown = JSON.parse(await readFile(path.join(directory, 'config.json'), 'utf8'));
    const auths = typeof config === 'object' && config !== null && 'auths' in config ? config.auths : null;
    const entry = auths && Object.entries(auths).find(([name]) => name === registry)?.[1];
    if (typeof entry?.auth !== 'string') return null;
    const [username = '', ...password] = Buffer.from(entry.auth, 'base64').toString().split(':');
    return { username, password: password.join(':'), serveraddress: registry };
  } catch {
    return null;
  }
}
