/**
 * The homes of terminals, which lie beside this process and are mounted into containers.
 * @module
 */
import type Docker from 'dockerode';
import { terminalName } from '../../terminal/names.ts';
import type { TerminalKey } from '../../terminal/terminal.ts';
import { homePath, makeHome, removeHome } from '../home.ts';
import { wipe, wipeHere } from '../wipe.ts';
import { imageUser } from './container.ts';
import type { Images } from './images.ts';
import { hostPaths } from './own-mounts.ts';
import { wipeAsRoot } from './wipe-as-root.ts';

export interface HomesOptions {
  readonly docker: Docker;
  readonly images: Images;
  /** Absolute path of the homes, as this process sees it. */
  readonly dataDir: string;
}

export class Homes {
  readonly #options: HomesOptions;
  #hostPath: Promise<(file: string) => string> | null = null;

  constructor(options: HomesOptions) {
    this.#options = options;
  }

  /** Makes the home where there is none. @returns its path as the engine's host names it */
  async make(key: TerminalKey, signal: AbortSignal): Promise<string> {
    const translate = await this.#hostPaths(signal);
    return translate(await makeHome(this.#options.dataDir, key, imageUser));
  }

  /** @throws where something in it is not ours to remove */
  remove(key: TerminalKey): Promise<void> {
    return removeHome(this.#options.dataDir, key);
  }

  /** @param image has a shell; it is needed only where what root made is not ours to remove */
  async empty(key: TerminalKey, keep: readonly string[], image: string, signal: AbortSignal): Promise<void> {
    const { docker, images, dataDir } = this.#options;
    const home = homePath(dataDir, key);
    const asRoot = wipeAsRoot(docker, {
      name: terminalName(key),
      hostHome: async () => (await this.#hostPaths(signal))(home),
      images,
      image,
    });
    await wipe(home, keep, [wipeHere(home), asRoot], signal);
  }

  async #hostPaths(signal: AbortSignal): Promise<(file: string) => string> {
    this.#hostPath ??= hostPaths(this.#options.docker, this.#options.dataDir, signal);
    try {
      return await this.#hostPath;
    } catch (error) {
      this.#hostPath = null;
      throw error;
    }
  }
}
