/**
 * Whose terminal a container is that was made for nobody. Its labels can't say, since they can't change; its name does, which
 * nobody but the engine's own administrator can change either, least of all who is in it.
 *
 * A name that can be read back needs nothing else. One that carries a hash is known when its user asks, and for lists after a
 * restart by a small file, written before the container is renamed. That file proves nothing: a key counts only if its name
 * is the container's.
 * @module
 */
import type { Logger } from 'pino';
import { isMap, type JsonMap } from '../../json.ts';
import { HintFile } from '../../reconcile/hint-file.ts';
import { isWarmName, keyOfName, nobody, terminalName } from '../../terminal/names.ts';
import type { ContextId, PolicyId, TerminalKey, TerminalName, UserId } from '../../terminal/terminal.ts';
import { type LabelMap, labelledKey, warmPolicyOf } from './observe.ts';

const warmIdLength = 16;

export class Claims {
  readonly #file: HintFile;
  readonly #keys = new Map<string, TerminalKey>();
  /** Names that are noted, and that their container may not bear yet. */
  readonly #underWay = new Set<string>();
  #loaded: Promise<void> | null = null;
  #written: Promise<unknown> = Promise.resolve();
  #next: Promise<boolean> | null = null;

  /** @param dataDir the data directory; the file is `.terminals/claims.json` below it */
  constructor(dataDir: string, log: Logger) {
    this.#file = new HintFile(dataDir, 'claims.json', 'whose the terminals are that were kept warm', log);
  }

  /** Takes up what was written, once. */
  load(): Promise<void> {
    this.#loaded ??= this.#load();
    return this.#loaded;
  }

  /** Whose terminal a container of these labels and this name is; null: it is not known, or it is not ours. */
  keyOf(labels: LabelMap, name: string): TerminalKey | null {
    const labelled = labelledKey(labels);
    if (labelled !== null) return labelled;
    const policy = warmPolicyOf(labels);
    if (policy === null) return null;
    if (isWarmName(name)) return { policy, user: nobody(name.slice(-warmIdLength)), context: null };
    const known = this.#keys.get(name);
    return known?.policy === policy ? known : keyOfName(name, policy);
  }

  /** The user of a key asked for the container of its name: from now on it is known whose it is. */
  async recognise(labels: LabelMap, key: TerminalKey): Promise<void> {
    const name = terminalName(key);
    if (warmPolicyOf(labels) === key.policy && this.keyOf(labels, name) === null) await this.note(key);
  }

  /** Notes that this key's terminal is one that was made for nobody. @returns whether that will be known after a restart */
  async note(key: TerminalKey): Promise<boolean> {
    const name = terminalName(key);
    if (keyOfName(name, key.policy) !== null) return true;
    this.#keys.set(name, key);
    return this.#save();
  }

  /** As `note`, before the container is renamed: until `settled` it is no reason to forget the key that none has that name. */
  begin(key: TerminalKey): Promise<boolean> {
    this.#underWay.add(terminalName(key));
    return this.note(key);
  }

  settled(name: TerminalName): void {
    this.#underWay.delete(name);
  }

  /** Names of keys that are of no use unless a container bears them. */
  get names(): readonly string[] {
    return [...this.#keys.keys()].filter((name) => !this.#underWay.has(name));
  }

  /** Their containers are gone. */
  forget(names: readonly string[]): void {
    if (names.length === 0) return;
    for (const name of names) this.#keys.delete(name);
    void this.#save();
  }

  /** Resolves when nothing is left to be written. */
  async saved(): Promise<void> {
    await this.#written;
  }

  async #load(): Promise<void> {
    const content = (await this.#file.read()) ?? {};
    for (const [name, value] of Object.entries(content)) {
      const key = isMap(value) ? keyFrom(value) : null;
      if (key !== null && terminalName(key) === name && !this.#keys.has(name)) this.#keys.set(name, key);
    }
  }

  /** Whoever comes while it is being written shares the next writing. */
  #save(): Promise<boolean> {
    const next = this.#next ?? this.#afterLast();
    this.#next = next;
    this.#written = next;
    return next;
  }

  async #afterLast(): Promise<boolean> {
    await this.#written;
    await this.load();
    this.#next = null;
    return this.#file.write(JSON.stringify(Object.fromEntries(this.#keys)));
  }
}

function keyFrom({ policy, user, context }: JsonMap): TerminalKey | null {
  if (typeof policy !== 'string' || typeof user !== 'string') return null;
  if (context !== null && typeof context !== 'string') return null;
  return { policy: policy as PolicyId, user: user as UserId, context: context as ContextId | null };
}
