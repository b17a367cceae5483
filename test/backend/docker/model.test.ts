/**
 * The whole loop on real Docker, by sequences of edits, requests, hands that meddle, faults of the engine and crashes: once
 * they end every terminal is as declared, and on the way nobody lost a file, a key or a terminal in use.
 */
import assert from 'node:assert/strict';
import { access, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { labels } from '../../../src/backend/docker/container.ts';
import type { DockerBackend } from '../../../src/backend/docker/docker-backend.ts';
import { homePath } from '../../../src/backend/home.ts';
import { TerminalsError } from '../../../src/errors.ts';
import { ActivityStore } from '../../../src/reconcile/activity-store.ts';
import { GoodStore } from '../../../src/reconcile/good-store.ts';
import { type Reached, Reconciler } from '../../../src/reconcile/reconciler.ts';
import { Templates } from '../../../src/reconcile/templates.ts';
import { terminalName } from '../../../src/terminal/names.ts';
import { withoutDocker } from '../../engines.ts';
import { capturedLog, MemoryPolicies, policyOf } from '../../reconcile/harness.ts';
import { steady } from '../../terminal/fixtures.ts';
import {
  docker,
  fastServer,
  imageWith,
  networkFor,
  type Place,
  placeFor,
  pythonEntrypoint,
  removeContainer,
} from './engine.ts';
import { EngineProxy, type Fault } from './engine-proxy.ts';

/** Sequences a run; the seed is said, and one that ever failed is kept below. */
const runs = Number(process.env.TERMINALS_TEST_DOCKER_SEQUENCES ?? 20);
const lanes = 4;
const seed = Number(process.env.TERMINALS_TEST_SEED ?? Date.now() % 2 ** 31);
const seedsThatFailed = [
  { seed: 528_396_376, numRuns: 20 },
  { seed: 8_062_003, numRuns: 4 },
  { seed: 13_083_005, numRuns: 16 },
  { seed: 567_031_562, numRuns: 20 },
];

const users = ['alice', 'bob'];
/** How long the system gets to be as declared once nothing is in its way any more. */
const settleMs = 30_000;
const fast = pythonEntrypoint(fastServer);

/** What a policy declares just now. */
interface Model {
  image: number;
  pids: number;
  when: 'idle' | 'now';
}

/** A terminal in use: the very container, and how its use is told. */
interface Work {
  readonly id: string;
  readonly startedAt: string;
  readonly use: Reached['use'];
}

interface Setting {
  readonly images: readonly string[];
  readonly network: string;
}

class World {
  readonly place: Place;
  readonly policies: MemoryPolicies;
  readonly work = new Map<string, Work>();
  model: Model = { image: 0, pids: 200, when: 'idle' };
  proxy = new EngineProxy();
  reconciler: Reconciler | null = null;
  readonly #setting: Setting;
  #backend: DockerBackend | null = null;

  constructor(place: Place, setting: Setting) {
    this.place = place;
    this.#setting = setting;
    this.policies = new MemoryPolicies(this.#declared());
  }

  /** Everybody has a terminal, and a file in it. */
  async begin(): Promise<void> {
    await this.start();
    await Promise.all(users.map((user) => this.reach(user)));
    for (const user of users) await writeFile(this.file(user), user);
  }

  async start(): Promise<void> {
    this.proxy = new EngineProxy();
    await this.proxy.up();
    const { log } = await capturedLog();
    const { dataDir } = this.place;
    this.#backend = this.place.backend({ networks: [this.#setting.network], docker: this.proxy.client });
    this.reconciler = new Reconciler({
      backend: this.#backend,
      policies: this.policies,
      templates: new Templates(this.#backend.platform),
      activity: new ActivityStore(dataDir, log),
      revisions: new GoodStore(dataDir, log),
      log,
      resyncMs: 1_000,
    });
    await this.reconciler.start();
  }

  /** As by SIGKILL: from one moment to the next the engine hears nothing more of it, and does what it was told. */
  async crash(): Promise<void> {
    await this.proxy.down();
    this.work.clear();
    await this.reconciler?.close();
    await this.#backend?.close();
  }

  edit(changes: Partial<Model>): void {
    Object.assign(this.model, changes);
    // With "now" work may be interrupted: then it is none that is watched over.
    if (this.model.when === 'now') this.end(...users);
    this.policies.edit(this.#declared());
  }

  get image(): string {
    return this.#setting.images[this.model.image] ?? '';
  }

  /** The terminal of a user, where it comes to run. */
  async reach(user: string): Promise<Reached | null> {
    try {
      const reaching = this.reconciler?.reach(this.place.key(user), AbortSignal.timeout(10_000));
      return (await reaching) ?? null;
    } catch (error) {
      assert.ok(error instanceof TerminalsError || (error as Error).name === 'TimeoutError', String(error));
      return null;
    }
  }

  name(user: string): string {
    return terminalName(this.place.key(user));
  }

  file(user: string): string {
    return path.join(homePath(this.place.dataDir, this.place.key(user)), 'note');
  }

  async inspect(user: string) {
    return docker
      .getContainer(this.name(user))
      .inspect()
      .catch(() => null);
  }

  /** A user works from here on, where the terminal runs: it may not be taken away. */
  async begins(user: string): Promise<void> {
    const reached = this.model.when === 'idle' ? this.reconciler?.running(this.place.key(user)) : null;
    if (!reached || this.work.has(user)) return;
    reached.use.begin();
    const info = await this.inspect(user);
    // Something was done to it before it was used: then it is not watched over.
    const same = info?.State.Running && Date.parse(info.State.StartedAt) === reached.terminal.startedAt;
    if (same) this.work.set(user, { id: info.Id, startedAt: info.State.StartedAt, use: reached.use });
    else reached.use.end();
  }

  end(...ended: readonly string[]): void {
    for (const user of ended) {
      this.work.get(user)?.use.end();
      this.work.delete(user);
    }
  }

  /** What must hold at every moment. */
  async watch(): Promise<void> {
    for (const [user, { id, startedAt }] of this.work) {
      const info = await docker
        .getContainer(id)
        .inspect()
        .catch(() => null);
      const state = info && `${info.State.Status} since ${info.State.StartedAt}`;
      assert.ok(info?.State.Running && info.State.StartedAt === startedAt, `${user} works, and: ${state}`);
    }
    const all = await docker.listContainers({
      all: true,
      filters: { label: [`${labels.policy}=${this.place.policy}`] },
    });
    const owners = all.map(({ Labels }) => Labels[labels.user]);
    assert.equal(new Set(owners).size, owners.length, `more than one terminal of a user: ${owners}`);
    for (const user of users)
      await assert.doesNotReject(access(this.file(user)), `the file of ${user} is gone`);
  }

  /** Nothing is in the way any more, and everybody asks: then all is as declared, and stays so. */
  async settles(): Promise<void> {
    this.proxy.meets = () => null;
    this.proxy.passes = (_request, answer) => answer;
    this.end(...users);
    for (const user of users) await unpause(this.name(user));
    const until = performance.now() + settleMs;
    let found = await this.#off();
    while (found !== null) {
      assert.ok(performance.now() < until, `not as declared: ${found}`);
      await Promise.all(users.map((user) => this.reach(user)));
      await sleep(50);
      found = await this.#off();
    }
    await sleep(100);
    const before = this.#changes();
    await this.reconciler?.resync();
    await sleep(300);
    assert.deepEqual(this.#changes().slice(before.length), [], 'looked at once more, nothing is left to do');
    await this.watch();
  }

  #changes(): readonly string[] {
    const own = users.map((user) => this.name(user));
    return this.proxy.requests.filter(
      (line) => !line.startsWith('GET') && own.some((name) => line.includes(name)),
    );
  }

  /** What is not as declared; null: nothing. */
  async #off(): Promise<string | null> {
    for (const user of users) {
      const [info, reached] = [await this.inspect(user), this.reconciler?.running(this.place.key(user))];
      if (!info?.State.Running || info.State.Paused) return `${user} has ${info?.State.Status}`;
      if (!reached) return `${user}'s terminal is not known to run`;
      if (info.Config.Image !== this.image) return `${user} has the image ${info.Config.Image}`;
      if (info.HostConfig.PidsLimit !== this.model.pids)
        return `${user} has ${info.HostConfig.PidsLimit} pids`;
      if (!info.Config.Env.includes(`OPEN_TERMINAL_API_KEY=${reached.terminal.apiKey}`))
        return `${user}'s key is another`;
      const { host, port } = reached.terminal.address;
      const answer = await fetch(`http://${host}:${port}/health`).catch(() => null);
      if (answer?.status !== 200) return `${user}'s terminal does not answer at ${host}:${port}`;
    }
    return null;
  }

  #declared() {
    const { pids, when } = this.model;
    const { resources } = policyOf().spec;
    const spec = {
      image: this.image,
      idleTimeoutMinutes: 0,
      startTimeoutSeconds: 15,
      resources: { ...resources, limits: { cpu: '500m', memory: '128Mi', pids } },
      rollout: { ...steady, when, idleAfterMinutes: 0, maxUnavailable: '100%', pauseOnFailures: 1_000 },
    };
    return policyOf(spec, this.place.policy);
  }
}

async function unpause(name: string): Promise<void> {
  await docker
    .getContainer(name)
    .unpause()
    .catch(() => undefined);
}

type Step = fc.AsyncCommand<object, World>;

/** A step is what it is called, and what it does; all of them can always be done. */
function step(name: string, act: (world: World) => unknown): Step {
  return {
    check: () => true,
    async run(_model, world) {
      await act(world);
      await world.watch();
    },
    toString: () => name,
  };
}

/** Something done to a user's container by hand; what there is not, it is not done to. */
function byHand(what: string, ends: boolean, act: (name: string) => Promise<unknown>) {
  return anyUser.map((user) =>
    step(`${user}'s container is ${what}`, async (world) => {
      if (ends) world.end(user);
      await act(world.name(user)).catch(() => undefined);
    }),
  );
}

const anyUser = fc.constantFrom(...users);
const mutating = ['POST /containers/create', 'POST /containers/', 'DELETE /containers/', 'GET /containers/'];
const faults = fc.constantFrom<Fault | 'answer cut'>(
  { kind: 'cut' },
  { kind: 'refuse' },
  { kind: 'delay', ms: 400 },
  'answer cut',
);

const steps: readonly fc.Arbitrary<Step>[] = [
  anyUser.map((user) => step(`${user} asks`, (world) => void world.reach(user))),
  anyUser.map((user) => step(`${user} asks and waits`, (world) => world.reach(user))),
  anyUser.map((user) => step(`${user} begins to work`, (world) => world.begins(user))),
  anyUser.map((user) =>
    step(`${user} asks and begins to work`, async (world) => {
      await world.reach(user);
      await world.begins(user);
    }),
  ),
  anyUser.map((user) => step(`${user} ends the work`, (world) => world.end(user))),
  fc.tuple(fc.constantFrom<Model['when']>('idle', 'idle', 'now'), fc.constantFrom(0, 300)).map(([when, ms]) =>
    step(`the other image, ${when}, and ${ms} ms`, async (world) => {
      world.edit({ image: 1 - world.model.image, when });
      await sleep(ms);
    }),
  ),
  fc.integer({ min: 100, max: 300 }).map((pids) => step(`${pids} pids`, (world) => world.edit({ pids }))),
  byHand('killed', true, (name) => docker.getContainer(name).kill()),
  byHand('removed', true, (name) => docker.getContainer(name).remove({ force: true })),
  byHand('stopped', true, (name) => docker.getContainer(name).stop({ t: 1 })),
  byHand('paused', false, (name) => docker.getContainer(name).pause()),
  byHand('unpaused', false, unpause),
  byHand('updated', false, (name) => docker.getContainer(name).update({ PidsLimit: 77 })),
  byHand('cut from its network', false, async (name) => {
    const { HostConfig } = await docker.getContainer(name).inspect();
    await docker.getNetwork(HostConfig.NetworkMode ?? '').disconnect({ Container: name, Force: true });
  }),
  fc
    .tuple(fc.constantFrom(...mutating), faults, fc.integer({ min: 1, max: 3 }))
    .map(([begins, fault, times]) =>
      step(`${begins}: ${JSON.stringify(fault)}, ${times} times`, ({ proxy }) => {
        let left = times;
        const met = (request: string) => request.startsWith(begins) && left-- > 0;
        if (fault === 'answer cut')
          proxy.passes = (request, answer) => (met(request) ? Buffer.alloc(0) : answer);
        else proxy.meets = (request) => (met(request) ? fault : null);
      }),
    ),
  fc.constant(step('events are lost', ({ proxy }) => proxy.cut())),
  fc.constant(
    step('a crash and a restart', async (world) => {
      await world.crash();
      await world.start();
    }),
  ),
  fc.integer({ min: 50, max: 500 }).map((ms) => step(`${ms} ms`, () => sleep(ms))),
];

const sequences = fc.commands(steps as fc.Arbitrary<Step>[], { maxCommands: 24, size: 'max' });

function property(t: TestContext, setting: Setting) {
  return fc.asyncProperty(sequences, async (commands) => {
    const place = await placeFor(t);
    const world = new World(place, setting);
    try {
      await world.begin();
      await fc.asyncModelRun(() => ({ model: {}, real: world }), commands);
      await world.settles();
    } finally {
      await world.crash();
      for (const user of users) await removeContainer(world.name(user));
    }
  });
}

/** Several at a time, since most of one is waiting for the engine; each begins with a seed of its own. */
async function check(t: TestContext, from: number, numRuns: number): Promise<void> {
  const images = [await imageWith(t, fast), await imageWith(t, fast, 'LABEL version=2')];
  const setting = { images, network: await networkFor(t) };
  const checks = Array.from({ length: lanes }, (_, lane) =>
    fc.assert(property(t, setting), {
      numRuns: Math.ceil(numRuns / lanes),
      seed: from + lane,
      endOnFailure: true,
    }),
  );
  for (const result of await Promise.allSettled(checks))
    if (result.status === 'rejected') throw result.reason;
}

const skip = await withoutDocker();

test(`${runs} sequences on Docker all end as declared, seed ${seed}`, { skip, timeout: 400_000 }, (t) =>
  check(t, seed, runs),
);

for (const failed of seedsThatFailed) {
  test(`the sequences of seed ${failed.seed}, one of which failed once`, { skip, timeout: 400_000 }, (t) =>
    check(t, failed.seed, failed.numRuns),
  );
}
