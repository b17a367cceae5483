/**
 * GitOps in earnest: a Git repository with a broken commit, then an image that does not run, then a good one, pulled while
 * users work; in the end everybody is on the good one, and no command of theirs was interrupted.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { docker, imageWith } from '../backend/docker/engine.ts';
import { withoutDocker } from '../engines.ts';
import { policyText } from '../policy/fixtures.ts';
import { asUser, command, removeFolder, serve, temporaryFolder, waitFor } from './program.ts';

const run = promisify(execFile);
const users = Array.from({ length: 20 }, (_, index) => `user-${index}`);
/** Users pause longer than a terminal has to be unused to be replaced, and work in between. */
const pauseMs = 3_000;
const idleAfterMinutes = 0.02;

interface Planned {
  readonly steps: readonly {
    readonly action: string;
    readonly changes: readonly { readonly field: string }[];
  }[];
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
  const [origin, checkout] = [path.join(folder, 'origin'), path.join(folder, 'policies')];
  const git = async (where: string, ...args: string[]) =>
    run('git', ['-c', 'user.name=t', '-c', 'user.email=t@example.org', '-C', where, ...args]);
  await mkdir(origin);
  await git(origin, 'init', '--quiet', '--initial-branch=main');
  const push = async (text: string) => {
    await writeFile(path.join(origin, 'default.yaml'), text);
    await git(origin, 'add', '--all');
    await git(origin, 'commit', '--quiet', '--message', 'edit');
  };
  const policy = (image: string) =>
    policyText(
      'default',
      `image: ${image}`,
      `rollout: {when: idle, idleAfterMinutes: ${idleAfterMinutes}, maxUnavailable: 50%, pauseOnFailures: 2}`,
    );
  const [first, next] = [await imageWith(t), await imageWith(t, 'LABEL version=2')];
  const bad = await imageWith(t, 'ENTRYPOINT ["/bin/sh", "-c", "echo no such module; exit 3"]');
  await push(policy(first));
  await run('git', ['clone', '--quiet', origin, checkout]);

  const variables = {
    TERMINALS_BACKEND: 'docker',
    TERMINALS_DATA_DIR: path.join(folder, 'data'),
    TERMINALS_POLICIES_DIR: checkout,
  };
  const program = await serve(variables);
  const workers = new Map(users.map((user) => [user, new Worker()]));
  t.after(async () => {
    await Promise.allSettled([...workers.values()].map((worker) => worker.end()));
    await program.stop();
    await command(['delete', '--all', '--yes'], variables);
    await removeFolder(folder);
  });

  /** What `terminals plan` says of the next commit, before it is pulled. */
  const planOfNext = async (): Promise<{ code: number | null; rows: readonly Planned[] }> => {
    const { code, out } = await command(['plan', '--json'], { ...variables, TERMINALS_POLICIES_DIR: origin });
    return { code, rows: JSON.parse(out).terminals };
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
      90_000,
      () => program.log().slice(-3_000),
    );
  };

  for (const [user, worker] of workers) worker.begin(asUser(program, user), user);
  await everybodyHasWorked(1);

  await push(
    'apiVersion: terminals.openwebui.com/v1alpha1\nkind: Policy\nmetadata: {name: default}\nspec: {imagee: x}\n',
  );
  assert.equal((await planOfNext()).code, 1, 'plan says that the commit is broken');
  await git(checkout, 'pull', '--quiet');
  await waitFor(() => program.log().includes('imagee') || undefined, 10_000);
  await everybodyHasWorked(1);
  assert.deepEqual(new Set(await images()), new Set([first]));

  await push(policy(bad));
  const replaces = ({ steps }: Planned) =>
    steps.some(
      ({ action, changes }) => action === 'replace' && changes.some(({ field }) => field === 'image'),
    );
  const bringsBad = await planOfNext();
  assert.equal(bringsBad.code, 2);
  assert.ok(bringsBad.rows.length >= users.length);
  assert.ok(bringsBad.rows.every(replaces), 'plan says that all would be replaced');
  await git(checkout, 'pull', '--quiet');
  await waitFor(
    () => program.log().includes('rollout stalled') || undefined,
    60_000,
    () => program.log().slice(-3_000),
  );
  await everybodyHasWorked(1);
  assert.ok(!(await images()).includes(bad), 'nobody is on the bad image');

  await push(policy(next));
  assert.ok((await planOfNext()).rows.every(replaces), 'plan says so again');
  await git(checkout, 'pull', '--quiet');
  await waitFor(
    async () => (await images()).every((image) => image === next) || undefined,
    120_000,
    () => program.log().slice(-3_000),
  );
  await everybodyHasWorked(1);
  for (const worker of workers.values()) await worker.end();

  for (const [user, { done }] of workers) {
    const kept = await asUser(program, user).execute('cat ~/work.txt');
    assert.deepEqual(kept.split('\n'), done, `every command of ${user} ran once, to its end`);
  }
  assert.equal((await images()).length, users.length);
});
