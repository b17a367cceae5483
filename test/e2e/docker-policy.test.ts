/** A policy edited on disk converges on real containers, and `terminals plan` said so before. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { cp } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { docker, limitsFrom, readLimits } from '../backend/docker/engine.ts';
import { withoutDocker } from '../engines.ts';
import { makePlace, type Place } from './place.ts';
import { asUser, command, type RunningProgram, serve, waitFor } from './program.ts';

interface PlanRow {
  readonly user: string;
  readonly steps: readonly {
    readonly action: string;
    readonly when: string;
    readonly changes: readonly {
      readonly field: string;
      readonly from: string | null;
      readonly to: string | null;
    }[];
  }[];
}

describe('an edited policy', { skip: await withoutDocker() }, () => {
  let place: Place;
  let program: RunningProgram;

  before(async () => {
    place = await makePlace('docker');
    for (const name of ['limits', 'now', 'idle', 'next-start', 'window', 'missing-image'])
      await place.declare(name, {});
    program = await serve(place.variables);
  });

  after(async () => {
    await program?.stop();
    await place?.clear();
  });

  /** What `terminals plan` says of one user's terminal if the policy were this. */
  async function planned(name: string, spec: string, user: string): Promise<PlanRow['steps']> {
    const edited = path.join(place.folder, `edited-${randomUUID()}`);
    await cp(place.policies, edited, { recursive: true });
    await place.declare(name, spec, edited);
    const { code, out, err } = await command(['plan', '--json'], {
      ...place.variables,
      TERMINALS_POLICIES_DIR: edited,
    });
    assert.ok(code === 0 || code === 2, err);
    const { terminals: rows }: { terminals: PlanRow[] } = JSON.parse(out);
    const row = rows.find((one) => one.user === user);
    assert.ok(row, out);
    return row.steps;
  }

  /** A user with a terminal under a policy, and its container. */
  async function terminalOf(policy: string) {
    const user = randomUUID();
    const alice = asUser(program, user, policy);
    await alice.execute('echo kept > ~/note');
    const filters = { label: [`openwebui.com/user-id=${user}`] };
    const inspect = async () => {
      const [one, ...others] = await docker.listContainers({ all: true, filters });
      assert.deepEqual(others, []);
      return one
        ? docker
            .getContainer(one.Id)
            .inspect()
            .catch(() => null)
        : null;
    };
    const first = await inspect();
    assert.ok(first);
    return { user, alice, inspect, first };
  }

  test('that raises the memory limit changes the running container in place', async () => {
    const { user, alice, inspect, first } = await terminalOf('limits');
    const spec = '{resources: {limits: {memory: 1536Mi, cpu: 750m, pids: 333}}}';
    const [step] = await planned('limits', spec, user);
    assert.equal(step?.action, 'update in place');
    assert.equal(step.when, 'now');
    assert.deepEqual(step.changes, [
      { field: 'resources.limits.cpu', from: '1000m', to: '750m' },
      { field: 'resources.limits.memory', from: '1024Mi', to: '1536Mi' },
      { field: 'resources.limits.pids', from: '2048', to: '333' },
    ]);
    assert.equal((await inspect())?.HostConfig.Memory, 1024 ** 3, 'the plan itself changed it');

    await place.declare('limits', spec);
    await waitFor(async () => (await inspect())?.HostConfig.Memory === 1536 * 1024 ** 2, 10_000);
    // The engine shows a limit before the kernel has it, and sets one after the other.
    const limits = { memoryBytes: 1536 * 1024 ** 2, cpuMillis: 750, pids: 333 };
    await waitFor(async () => isDeepStrictEqual(limitsFrom(await alice.execute(readLimits)), limits), 5_000);
    const after = await inspect();
    assert.equal(after?.Id, first.Id);
    assert.equal(after.State.StartedAt, first.State.StartedAt);
    assert.deepEqual(
      await planned('limits', spec, user).then((steps) => steps.filter(({ when }) => when === 'now')),
      [],
    );
  });

  test('with rollout now replaces it at once, with its files', async () => {
    const { user, alice, inspect, first } = await terminalOf('now');
    const spec = '{rollout: {when: now}, env: {GREETING: hello}}';
    const [step] = await planned('now', spec, user);
    assert.equal(step?.action, 'replace');
    assert.equal(step.when, 'now');
    assert.deepEqual(step.changes, [{ field: 'env.GREETING', from: null, to: '(set)' }]);

    await place.declare('now', spec);
    await waitFor(async () => {
      const info = await inspect();
      return info !== null && info.Id !== first.Id && info.State.Running;
    }, 15_000);
    assert.equal(await alice.execute('echo $GREETING; cat ~/note'), 'hello\nkept');
  });

  test('with rollout idle leaves it until it was quiet for so long, then replaces it', async () => {
    const { user, alice, inspect, first } = await terminalOf('idle');
    const spec = '{rollout: {when: idle, idleAfterMinutes: 0.05}, env: {GREETING: hello}}';
    const step = (await planned('idle', spec, user)).find(({ action }) => action === 'replace');
    assert.match(step?.when ?? '', /^now$|^\d{4}-/);

    // In use: one command a moment, for longer than the quiet time.
    assert.equal(await alice.execute('echo "[$GREETING]"'), '[]');
    await place.declare('idle', spec);
    const busyUntil = performance.now() + 5_000;
    while (performance.now() < busyUntil) {
      assert.equal(await alice.execute('echo "[$GREETING]"'), '[]');
      await sleep(300);
    }
    assert.equal((await inspect())?.Id, first.Id, 'it was replaced while it was in use');
    const last = performance.now();
    await waitFor(async () => {
      const info = await inspect();
      return info !== null && info.Id !== first.Id && info.State.Running;
    }, 20_000);
    assert.ok(performance.now() - last > 2_000, 'it was not quiet for long enough yet');
    assert.equal(await alice.execute('echo $GREETING; cat ~/note'), 'hello\nkept');
  });

  test('with rollout nextStart leaves it as long as it runs', async () => {
    const { user, alice, inspect, first } = await terminalOf('next-start');
    const spec = '{rollout: {when: nextStart}, env: {GREETING: hello}}';
    const step = (await planned('next-start', spec, user)).find(({ action }) => action === 'replace');
    assert.equal(step?.when, 'at the next start');

    await place.declare('next-start', spec);
    // By then it has taken the new policy in: another user gets it.
    await waitFor(
      async () => (await asUser(program, randomUUID(), 'next-start').execute('echo $GREETING')) === 'hello',
      15_000,
    );
    assert.equal(await alice.execute('echo "[$GREETING]"'), '[]');
    assert.equal((await inspect())?.Id, first.Id);

    const stopped = await command(['stop', '--user', user], place.variables);
    assert.equal(stopped.code, 0, stopped.err);
    await waitFor(async () => (await inspect())?.State.Running === false, 10_000);
    assert.equal(await alice.execute('echo $GREETING; cat ~/note'), 'hello\nkept');
    assert.notEqual((await inspect())?.Id, first.Id);
  });

  test('with a window waits until that opens, and no longer', async () => {
    const { user, alice, inspect, first } = await terminalOf('window');
    // The next full minute that leaves time for what comes before it.
    const opens = new Date(Math.ceil((Date.now() + 40_000) / 60_000) * 60_000);
    const schedule = `${opens.getUTCMinutes()} ${opens.getUTCHours()} * * *`;
    const window = `{schedule: "${schedule}", durationMinutes: 5, timezone: UTC}`;
    const spec = `{rollout: {when: now, window: ${window}}, env: {GREETING: hello}}`;
    const step = (await planned('window', spec, user)).find(({ action }) => action === 'replace');
    assert.equal(step?.when, opens.toISOString());

    await place.declare('window', spec);
    // A new terminal is no replacement: with it, this revision has run.
    await waitFor(
      async () => (await asUser(program, randomUUID(), 'window').execute('echo $GREETING')) === 'hello',
      15_000,
    );
    assert.equal((await inspect())?.Id, first.Id);
    const found = await waitFor(
      async () => {
        const info = await inspect();
        return info !== null && info.Id !== first.Id && info.State.Running ? info : undefined;
      },
      opens.getTime() - Date.now() + 15_000,
    );
    const made = Date.parse(found.Created);
    assert.ok(made >= opens.getTime() && made < opens.getTime() + 10_000, found.Created);
    assert.equal(await alice.execute('echo $GREETING; cat ~/note'), 'hello\nkept');
  });

  test('to an image that is not there leaves the running container, and its user at work', async () => {
    const { user, alice, inspect, first } = await terminalOf('missing-image');
    const spec = '{rollout: {when: now}, image: "localhost:1/no/such-image:1"}';
    const [step] = await planned('missing-image', spec, user);
    assert.equal(step?.action, 'replace');
    assert.equal(step.changes[0]?.field, 'image');
    await place.declare('missing-image', spec);
    // Discovery, too, asks for that image.
    const tried = (line: string) =>
      line.includes(user) && /such-image:1 is not on the Docker host/.test(line);
    await waitFor(() => program.log().split('\n').some(tried), 15_000);
    assert.equal((await inspect())?.Id, first.Id);
    assert.equal(await alice.execute('cat ~/note'), 'kept');
  });
});
