/**
 * GitOps in earnest: a Git repository with a broken commit, then an image that does not run, then a good one, pushed while
 * users work; in the end everybody is on the good one, no command of theirs was interrupted, and `terminals plan` said each
 * step before it happened.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { docker, imageWith } from '../backend/docker/engine.ts';
import { withoutDocker } from '../engines.ts';
import { policyText } from '../policy/fixtures.ts';
import { deleteAll } from './place.ts';
import { asUser, command, key, removeFolder, serve, temporaryFolder, waitFor } from './program.ts';

const run = promisify(execFile);
const users = Array.from({ length: 20 }, (_, index) => `user-${index}`);
/** Users pause longer than a terminal has to be unused to be replaced, and work in between. */
const pauseMs = 3_000;
const idleAfterMinutes = 0.02;
/** Twenty terminals start at once, on however small a machine. */
const patienceMs = 240_000;

const webhookSecret = 'the-secret-of-the-webhook';

/** What `terminals plan` says of one terminal. */
interface Planned {
  readonly terminal: string;
  readonly steps: readonly {
    readonly action: string;
    readonly when: string;
    readonly reason: string;
    readonly change: boolean;
    readonly changes: readonly { readonly field: string; readonly from: string; readonly to: string }[];
  }[];
}

/** What was begun with a terminal, as the log has it. */
interface Done {
  readonly action: string;
  readonly time: string;
  readonly terminal: string;
  readonly reason: string;
}

interface Status {
  readonly observed_source: string;
  readonly desired: number;
  readonly updated: number;
  readonly available: number;
  readonly stall: { readonly last_lines: readonly string[] } | null;
  readonly conditions: readonly { readonly type: string; readonly status: string; readonly reason: string }[];
}

/** Works as a person does: a command that takes a while, its answer, a pause. */
class Worker {
  readonly done: string[] = [];
  readonly #stop = new AbortController();
  #work: Promise<void> | null = null;

  begin(user: ReturnType<typeof asUser>, name: string): void {
    this.#work = this.#go(user, name);
  }

  async end(): Promise<void> {
    this.#stop.abort();
    await this.#work;
  }

  async #go(user: ReturnType<typeof asUser>, name: string): Promise<void> {
    for (let count = 0; !this.#stop.signal.aborted; count += 1) {
      const answer = await user.execute(`sleep 0.3; echo ${name}-${count} | tee -a ~/work.txt`);
      assert.equal(answer, `${name}-${count}`);
      this.done.push(answer);
      await sleep(pauseMs + Math.random() * 500, undefined, { signal: this.#stop.signal }).catch(
        () => undefined,
      );
    }
  }
}

test('twenty users work through a broken commit, a bad image and a good one', {
  skip: await withoutDocker(),
}, async (t) => {
  const folder = await temporaryFolder();
  const origin = path.join(folder, 'origin');
  const git = async (...args: string[]) => {
    const identity = ['-c', 'user.name=t', '-c', 'user.email=t@example.org', '-C', origin];
    return (await run('git', [...identity, ...args])).stdout.trim();
  };
  await mkdir(origin);
  await git('init', '--quiet', '--initial-branch=main');
  /** Commits, and says which commit it is; nobody hears of it yet. */
  const commit = async (text: string): Promise<string> => {
    await writeFile(path.join(origin, 'default.yaml'), text);
    await git('add', '--all');
    await git('commit', '--quiet', '--message', 'edit');
    return git('rev-parse', 'HEAD');
  };
  const policy = (image: string) =>
    policyText(
      'default',
      `image: ${image}`,
      `startTimeoutSeconds: ${patienceMs / 1_000}`,
      `rollout: {when: idle, idleAfterMinutes: ${idleAfterMinutes}, maxUnavailable: 50%, pauseOnFailures: 2}`,
    );
  const [first, next] = [await imageWith(t), await imageWith(t, 'LABEL version=2')];
  const bad = await imageWith(t, 'ENTRYPOINT ["/bin/sh", "-c", "echo no such module; exit 3"]');
  await commit(policy(first));

  const variables = {
    TERMINALS_BACKEND: 'docker',
    TERMINALS_DATA_DIR: path.join(folder, 'data'),
    TERMINALS_POLICIES_GIT: `file://${origin}`,
    TERMINALS_POLICIES_GIT_INTERVAL: '0',
    TERMINALS_POLICIES_GIT_WEBHOOK_SECRET: webhookSecret,
  };
  // Whatever else is there would be counted.
  await deleteAll(variables);
  const program = await serve(variables);
  const workers = new Map(users.map((user) => [user, new Worker()]));
  t.after(async () => {
    await Promise.allSettled([...workers.values()].map((worker) => worker.end()));
    await program.stop();
    await deleteAll(variables);
    await removeFolder(folder);
  });

  /** What `terminals plan` says of the next commit, before Terminals hears of it. */
  const planOfNext = async (): Promise<{ code: number | null; err: string; rows: readonly Planned[] }> => {
    const args = ['plan', origin, '--server', program.url, '--json'];
    const { code, out, err } = await command(args, { TERMINALS_API_KEY: key });
    return { code, err, rows: JSON.parse(out).terminals };
  };
  /** The repository says that something was pushed. */
  const push = async () => {
    const body = JSON.stringify({ ref: 'refs/heads/main' });
    const signature = createHmac('sha256', webhookSecret).update(body).digest('hex');
    const headers = { 'content-type': 'application/json', 'x-hub-signature-256': `sha256=${signature}` };
    const answer = await fetch(`${program.url}/api/v1/webhooks/git`, { method: 'POST', headers, body });
    assert.equal(answer.status, 202);
  };
  const statusOf = async (): Promise<Status> => {
    const headers = { authorization: `Bearer ${key}` };
    const answer = await fetch(`${program.url}/api/v1/policies/default`, { headers });
    const { status }: { status: Status } = JSON.parse(await answer.text());
    return status;
  };
  const conditionOf = async (): Promise<string> => {
    const { conditions } = await statusOf();
    const holds = conditions.find(({ status }) => status === 'True');
    return `${holds?.type} ${holds?.reason}`;
  };
  /** What was begun with terminals since the last time this was asked, whatever came of it. */
  let told = 0;
  const doneSince = (): readonly Done[] => {
    const lines = program.log().trim().split('\n');
    const fresh = lines.slice(told).filter((line) => line.includes('"action"'));
    told = lines.length;
    return fresh.map((line): Done => JSON.parse(line));
  };
  const images = async () => {
    const filters = { label: ['managed-by=terminals', 'openwebui.com/policy=default'] };
    const all = await docker.listContainers({ filters });
    return all
      .filter(({ Labels }) => users.includes(Labels['openwebui.com/user-id'] ?? ''))
      .map(({ Image }) => Image);
  };
  const everybodyHasWorked = async (more: number) => {
    const before = new Map([...workers].map(([user, { done }]) => [user, done.length]));
    await waitFor(
      () =>
        [...workers].every(([user, { done }]) => done.length >= (before.get(user) ?? 0) + more) || undefined,
      patienceMs,
      () => program.log().slice(-3_000),
    );
  };

  for (const [user, worker] of workers) worker.begin(asUser(program, user), user);
  await everybodyHasWorked(1);

  doneSince();
  const broken = await commit(
    'apiVersion: terminals.openwebui.com/v1alpha1\nkind: Policy\nmetadata: {name: default}\nspec: {imagee: x}\n',
  );
  const bringsNothing = await planOfNext();
  assert.equal(bringsNothing.code, 1, 'plan says that the commit is broken');
  assert.deepEqual(bringsNothing.rows.filter(replaces), [], 'and that nothing will be done');
  await push();
  await waitFor(
    async () => (await conditionOf()) === 'Stalled PolicyInvalid' || undefined,
    patienceMs,
    program.log,
  );
  assert.equal((await statusOf()).observed_source, broken);
  await everybodyHasWorked(1);
  assert.deepEqual(new Set(await images()), new Set([first]));
  assert.deepEqual(doneSince(), [], 'nothing was done');

  const badCommit = await commit(policy(bad));
  const bringsBad = await planOfNext();
  assert.equal(bringsBad.code, 2, bringsBad.err);
  assert.equal(bringsBad.rows.filter(replaces).length, users.length, 'plan says that all would be replaced');
  await push();
  await waitFor(
    async () => (await conditionOf()) === 'Stalled RolloutFailed' || undefined,
    patienceMs,
    () => program.log().slice(-3_000),
  );
  await everybodyHasWorked(1);
  assert.ok(!(await images()).includes(bad), 'nobody is on the bad image');
  const stalled = await statusOf();
  assert.equal(stalled.observed_source, badCommit);
  assert.deepEqual(stalled.stall?.last_lines, ['no such module']);
  const begun = doneSince();
  const tried = begun.filter(
    ({ action, reason }) => action === 'replace' && reason.includes('rollout when idle'),
  );
  assert.ok(tried.length > 0 && tried.length <= 2, `they met the bad image: ${JSON.stringify(begun)}`);
  assertPlanned(tried, bringsBad.rows);
  const goneBack = begun.filter((each) => !tried.includes(each));
  for (const each of goneBack)
    assert.ok(
      tried.some(({ terminal }) => terminal === each.terminal),
      JSON.stringify(each),
    );
  const held = await command(['plan', '--server', program.url, '--json'], { TERMINALS_API_KEY: key });
  assert.equal(held.code, 0, `while it is stalled nothing is about to be done: ${held.out}`);

  const goodCommit = await commit(policy(next));
  const bringsGood = await planOfNext();
  assert.equal(bringsGood.code, 2, bringsGood.err);
  assert.equal(bringsGood.rows.filter(replaces).length, users.length, 'plan says so again');
  await push();
  await waitFor(
    async () => (await images()).every((image) => image === next) || undefined,
    patienceMs,
    () => program.log().slice(-3_000),
  );
  await everybodyHasWorked(1);
  const { observed_source, desired, updated, available } = await statusOf();
  assert.deepEqual([observed_source, desired, updated, available], [goodCommit, 20, 20, 20]);
  assert.equal(await conditionOf(), 'Ready UpToDate');
  const done = doneSince();
  assert.deepEqual(new Set(done.map(({ action }) => action)), new Set(['replace']), 'nothing else was done');
  assert.equal(new Set(done.map(({ terminal }) => terminal)).size, done.length, 'to each once');
  assert.equal(done.length, users.length);
  assertPlanned(done, bringsGood.rows);
  for (const worker of workers.values()) await worker.end();

  for (const [user, { done }] of workers) {
    const kept = await asUser(program, user).execute('cat ~/work.txt');
    assert.deepEqual(kept.split('\n'), done, `every command of ${user} ran once, to its end`);
  }
  assert.equal((await images()).length, users.length);
});

/** Whether a terminal would be made anew with another image. */
function replaces({ steps }: Planned): boolean {
  return steps.some(
    ({ action, change, changes }) =>
      action === 'replace' && change && changes.some(({ field }) => field === 'image'),
  );
}

/** Every replacement was in the plan, for the reason that it was done for, and no sooner. */
function assertPlanned(done: readonly Done[], rows: readonly Planned[]): void {
  for (const { terminal, reason, time } of done) {
    const step = rows
      .find((row) => row.terminal === terminal)
      ?.steps.find(({ action, change }) => action === 'replace' && change);
    assert.equal(reason, step?.reason, `${terminal} was replaced`);
    if (step?.when !== 'now')
      assert.ok(Date.parse(time) >= Date.parse(step?.when ?? ''), `${terminal}: ${time}`);
  }
}
