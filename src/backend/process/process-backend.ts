/**
 * Terminals as processes of this machine: for trying Terminals out, and where no container engine is at hand.
 *
 * What is known of a terminal is in its state folder, and which of them run is asked of the system, so that a restart of
 * Terminals, or its end at any moment, changes nothing.
 * @module
 */
import path from 'node:path';
import type { Logger } from 'pino';
import { StartFailedError } from '../../errors.ts';
import { terminalName } from '../../terminal/names.ts';
import type {
  Actual,
  Desired,
  RunningTerminal,
  TerminalKey,
  TerminalName,
  Workload,
} from '../../terminal/terminal.ts';
import type { Backend, BackendListener, Progress } from '../backend.ts';
import { homePath } from '../home.ts';
import { secretsAmong } from '../masked.ts';
import { SecretFiles } from '../secret-files.ts';
import { wipe, wipeHere } from '../wipe.ts';
import { Accounts } from './accounts.ts';
import type { Variables } from './environment.ts';
import { ownFolder } from './install.ts';
import { launch, untilHealthy } from './launch.ts';
import { Once } from './once.ts';
import { environmentOf } from './processes.ts';
import { makeReady, notEnforced, type Ready, statesFolder } from './ready.ts';
import { loopback } from './server.ts';
import { type Server, Servers } from './servers.ts';
import { boundLog, States, type TerminalRecord } from './state.ts';
import { Watcher } from './watcher.ts';

export interface ProcessBackendOptions {
  /** Absolute path of the homes; what is ours is in its folder `.terminals`. */
  readonly dataDir: string;
  /** The Python to install Open Terminal with; absent: the best one of this machine. */
  readonly python?: string;
  /** The variables of this process, of which terminals get a few. */
  readonly environment: Variables;
  /** TERMINALS_SECRETS_DIR, absolute; null: there is none. */
  readonly secretsDir?: string | null;
  readonly log: Logger;
}

/** How long a server that never answered counts as one that starts. */
const provisioningMs = 15_000;
/** For ending what a failed start left. */
const cleanUpMs = 60_000;

export class ProcessBackend implements Backend {
  readonly kind = 'process';
  readonly platform: Readonly<Record<string, string>> = {};
  readonly #options: ProcessBackendOptions;
  readonly #log: Logger;
  readonly #secrets: SecretFiles;
  readonly #states: States;
  readonly #servers: Servers;
  readonly #accounts: Accounts;
  readonly #ready: Once<Ready>;
  readonly #watcher: Watcher;
  readonly #listeners = new Set<BackendListener>();
  readonly #launching = new Set<TerminalName>();
  readonly #warned = new Set<string>();

  constructor(options: ProcessBackendOptions) {
    this.#options = options;
    this.#log = options.log;
    this.#secrets = new SecretFiles(options.secretsDir ?? null);
    this.#states = new States(statesFolder(options.dataDir), options.log);
    this.#servers = new Servers(this.#states, options.log);
    this.#accounts = new Accounts(path.join(ownFolder(options.dataDir), 'uids'));
    this.#ready = new Once((progress, signal) => makeReady(options, progress, signal));
    this.#watcher = new Watcher((key) => void this.#tell(key));
  }

  get unenforced(): readonly string[] {
    return notEnforced(this.#ready.result);
  }

  // --- observing ----------------------------------------------------------

  async list(_signal: AbortSignal): Promise<readonly Actual[]> {
    const records = await this.#states.all();
    for (const { key } of records) await boundLog(this.#states.folderOf(terminalName(key)));
    return Promise.all(records.map((record) => this.#observe(record)));
  }

  async inspect(key: TerminalKey, _signal: AbortSignal): Promise<Actual | undefined> {
    const record = await this.#states.read(terminalName(key));
    return record ? this.#observe(record) : undefined;
  }

  watch(listener: BackendListener, signal: AbortSignal): void {
    if (signal.aborted) return;
    this.#listeners.add(listener);
    signal.addEventListener('abort', () => this.#listeners.delete(listener), { once: true });
  }

  async #tell(key: TerminalKey): Promise<void> {
    try {
      // Nothing has to be said to who is here by the time of the answer and was not before.
      const asking = Array.from(this.#listeners, (listener) => ({ listener, since: listener.count }));
      const record = await this.#states.read(terminalName(key));
      const actual = record ? await this.#observe(record) : undefined;
      for (const { listener, since } of asking)
        if (this.#listeners.has(listener)) listener.changed(key, actual, since);
    } catch (error) {
      this.#log.warn(
        { err: error, terminal: terminalName(key) },
        'a changed terminal could not be looked at',
      );
    }
  }

  async #observe(record: TerminalRecord): Promise<Actual> {
    const name = terminalName(record.key);
    const { key, revision, fingerprint, idleTimeoutMs, startedAt, port } = record;
    const observed = { key, name, revision, fingerprint, limits: null, idleTimeoutMs };
    const provisioning = { ...observed, phase: 'Provisioning', detail: 'starting' } as const;
    if (this.#launching.has(name) && !record.healthy) return provisioning;
    const server = await this.#servers.find(record);
    if (server === null) return { ...observed, phase: 'Idle' };
    this.#watcher.found(name, key, server);
    if (!record.healthy && Date.now() - startedAt < provisioningMs) return provisioning;
    const apiKey = await this.#states.apiKey(name);
    return { ...observed, phase: 'Running', address: { host: loopback, port }, apiKey, startedAt };
  }

  // --- acting -------------------------------------------------------------

  async prepare(_workload: Workload, progress: Progress, signal: AbortSignal): Promise<void> {
    await this.#ready.get(progress, signal);
  }

  trouble(workload: Workload): string | null {
    return this.#secrets.trouble(workload);
  }

  create(desired: Desired, progress: Progress, signal: AbortSignal): Promise<RunningTerminal> {
    return this.#run(desired, progress, signal, (known) => known.revision === desired.revision);
  }

  start(desired: Desired, progress: Progress, signal: AbortSignal): Promise<RunningTerminal> {
    return this.#run(desired, progress, signal, () => true);
  }

  async update(desired: Desired, signal: AbortSignal): Promise<Actual> {
    const actual = await this.inspect(desired.key, signal);
    if (actual) return actual;
    throw new StartFailedError(`The terminal ${desired.name} is gone.`, 'The next request makes it anew.');
  }

  async stop(key: TerminalKey, signal: AbortSignal): Promise<void> {
    const record = await this.#states.read(terminalName(key));
    await this.#servers.end(terminalName(key), record, signal);
    if (record) await this.#states.write(terminalName(key), { ...record, server: null, starting: false });
  }

  async remove(key: TerminalKey, { files }: { readonly files: boolean }, signal: AbortSignal): Promise<void> {
    const name = terminalName(key);
    const record = await this.#states.read(name);
    await this.#servers.end(name, record, signal);
    if (files) await this.#wipe(homePath(this.#options.dataDir, key), [], record, signal);
    await this.#forget(name, record, signal);
  }

  async reset({ key, name }: Desired, keep: readonly string[], signal: AbortSignal): Promise<void> {
    const record = await this.#states.read(name);
    await this.#servers.end(name, record, signal);
    if (record) await this.#states.write(name, { ...record, server: null, starting: false });
    await this.#wipe(homePath(this.#options.dataDir, key), keep, record, signal);
    await this.remove(key, { files: false }, signal);
  }

  async #wipe(
    home: string,
    keep: readonly string[],
    record: TerminalRecord | null,
    signal: AbortSignal,
  ): Promise<void> {
    // First as its user, whose other terminals may run: then only what they can't remove themselves is left for us.
    const own = record?.uid == null ? [] : [wipeHere(home, record.uid)];
    await wipe(home, keep, [...own, wipeHere(home)], signal);
  }

  /** Removes what is remembered of one, with its home where that is part of it. */
  async #forget(name: TerminalName, record: TerminalRecord | null, signal: AbortSignal): Promise<void> {
    await this.#wipe(this.#states.homeOf(name), [], record, signal);
    await this.#states.remove(name);
  }

  async close(): Promise<void> {
    this.#ready.cancel();
    this.#watcher.close();
    this.#listeners.clear();
  }

  // --- one terminal -------------------------------------------------------

  /** Takes the one that runs if it fits, else ends what is left of it and starts it. */
  async #run(
    desired: Desired,
    progress: Progress,
    signal: AbortSignal,
    fits: (known: TerminalRecord) => boolean,
  ): Promise<RunningTerminal> {
    const { name } = desired;
    const known = await this.#states.read(name);
    const server = known && (await this.#servers.find(known));
    const adopted = known && server && fits(known) ? await this.#adopt(desired, known, server, signal) : null;
    if (adopted) return adopted;
    const ready = await this.#ready.get(progress, signal);
    this.#warnOfPackages(desired);
    this.#launching.add(name);
    try {
      await this.#servers.end(name, known, signal);
      return await this.#launch(desired, known, ready, progress, signal);
    } catch (error) {
      const record = await this.#states.read(name);
      const limit = AbortSignal.timeout(cleanUpMs);
      await this.#servers.end(name, record, limit);
      // One that never was leaves nothing; one that was before is there again as stopped.
      if (known) await this.#states.write(name, { ...(record ?? known), server: null, starting: false });
      else await this.#forget(name, record, limit);
      signal.throwIfAborted();
      throw error;
    } finally {
      this.#launching.delete(name);
    }
  }

  async #launch(
    desired: Desired,
    known: TerminalRecord | null,
    { python, separation }: Ready,
    progress: Progress,
    signal: AbortSignal,
  ): Promise<RunningTerminal> {
    const { name, key } = desired;
    await this.#states.makeFolder(name);
    const record = await launch(desired, known, {
      dataDir: this.#options.dataDir,
      environment: this.#options.environment,
      secrets: this.#secrets,
      states: this.#states,
      log: this.#log,
      python,
      uid: separation.separate === true ? await this.#accounts.uidOf(key.user) : null,
      named: separation.named,
      started: (born, child) => this.#watcher.child(name, key, born, child),
      progress,
      signal,
    });
    return this.#running(record);
  }

  /** One that runs already, e.g. since an earlier run of Terminals; null where it does not listen on its port any more. */
  async #adopt(
    desired: Desired,
    known: TerminalRecord,
    server: Server,
    signal: AbortSignal,
  ): Promise<RunningTerminal | null> {
    const secrets = secretsAmong(await environmentOf(server.pid), known.fingerprint);
    const how = { states: this.#states, log: this.#log, secrets, signal };
    const outcome = await untilHealthy(desired, server, known.port, desired.startTimeoutMs, how);
    if (outcome !== 'healthy') return null;
    const record = { ...known, server, starting: false, healthy: true };
    await this.#states.write(desired.name, record);
    return this.#running(record);
  }

  async #running(record: TerminalRecord): Promise<RunningTerminal> {
    const actual = await this.#observe(record);
    if (actual.phase === 'Running') return actual;
    throw new StartFailedError('The terminal ended right after its start.', 'Try again.');
  }

  #warnOfPackages({ key, workload }: Desired): void {
    const packages = workload.packages.join(' ');
    const warning = `${key.policy} ${packages}`;
    if (packages === '' || this.#warned.has(warning)) return;
    this.#warned.add(warning);
    this.#log.warn(
      { policy: key.policy, packages },
      'packages are not installed by the process backend: install them on this machine',
    );
  }
}
