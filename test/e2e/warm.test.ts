/** Terminals that are ready before anybody asks, and what the host has room for, through the whole program on Docker. */
import assert from 'node:assert/strict';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { docker } from '../backend/docker/engine.ts';
import { withoutDocker } from '../engines.ts';
import { deleteAll, makePlace, type Place } from './place.ts';
import { asUser, command, key, type RunningProgram, serve, waitFor } from './program.ts';

const policy = 'ready';
const uuid = 'c0ffee00-1234-4abc-8def-0123456789ab';
/** Its name carries a hash. */
const hashed = 'Alice <alice@example.org>';

interface Seen {
  readonly id: string;
  readonly name: string;
  readonly running: boolean;
  readonly key: string | undefined;
  readonly variables: readonly string[];
}

/** All containers of the policy, by name. */
async function allContainers(): Promise<readonly Seen[]> {
  const filters = { label: [`openwebui.com/policy=${policy}`] };
  const all = await docker.listContainers({ all: true, filters });
  const seen = await Promise.all(
    all.map(async ({ Id }) => {
      const info = await docker
        .getContainer(Id)
        .inspect()
        .catch(() => null);
      const variables = info?.Config.Env ?? [];
      const own = variables.find((one) => one.startsWith('OPEN_TERMINAL_API_KEY='));
      const { Name: name = '', State: state } = info ?? {};
      return { id: Id, name: name.slice(1), running: state?.Running === true, key: own, variables };
    }),
  );
  return seen.filter(({ name }) => name !== '');
}

/** The answers to discovery are taken from one of its own, which is there for a moment. */
const isOfDiscovery = ({ name }: Seen) => name.startsWith(`terminals-${policy}-discovery-`);

/** Those of users and those that are warm. */
async function containers(): Promise<readonly Seen[]> {
  return (await allContainers()).filter((one) => !isOfDiscovery(one));
}

const isWarm = ({ name }: Seen) => name.startsWith('terminals-warm_');

describe('terminals that are warm', { skip: await withoutDocker() }, () => {
  let place: Place;
  let program: RunningProgram;

  before(async () => {
    place = await makePlace('docker', { TERMINALS_MAX_TERMINALS: '24' });
    // Whatever else is there would be counted.
    await deleteAll(place.variables);
    await declare({ warm: 5 });
    program = await serve(place.variables);
  });

  after(async () => {
    await program?.stop();
    await place?.clear();
  });

  function declare(spec: object, idleAfterMinutes = 60): Promise<void> {
    return place.declare(policy, {
      persistence: { enabled: false },
      resources: { limits: { cpu: '1', memory: '256Mi' } },
      rollout: { when: 'idle', idleAfterMinutes },
      startTimeoutSeconds: 120,
      ...spec,
    });
  }

  async function warmCount(): Promise<number> {
    const response = await fetch(`${program.url}/api/v1/policies/${policy}`, {
      headers: { authorization: `Bearer ${key}` },
    });
    const { status }: { status?: { warm: number } } = JSON.parse(await response.text());
    return status?.warm ?? 0;
  }

  const ready = (count: number) =>
    waitFor(
      async () => (await warmCount()) === count || undefined,
      120_000,
      () => program.log().slice(-3_000),
    );

  test('a first request gets one with the key it always had, and another is started', async () => {
    await ready(5);
    const before = await containers();
    assert.equal(before.filter(isWarm).length, 5);
    const alice = asUser(program, uuid, policy);
    assert.equal(await alice.execute('echo there'), 'there');
    const own = (await containers()).find(({ name }) => name === `terminals-${policy}-${uuid}`);
    assert.ok(own);
    const was = before.find(({ id }) => id === own.id);
    assert.equal(was?.key, own.key);
    await ready(5);
    const keys = (await containers()).map((one) => one.key);
    assert.equal(new Set(keys).size, 6);
    const { out } = await command(['list'], place.variables);
    assert.equal(out.split('\n').filter((line) => line.includes('(warm)')).length, 5, out);
  });

  test('killed in the middle of claims, nobody loses theirs, and nobody gets another', async () => {
    const users = [hashed, 'bob', 'carol'];
    const asked = users.map((user) =>
      asUser(program, user, policy)
        .request('/health')
        .catch(() => null),
    );
    await new Promise((resolve) => setTimeout(resolve, 30));
    await program.kill();
    await Promise.all(asked);
    program = await serve(place.variables);
    for (const user of users) {
      assert.equal(await asUser(program, user, policy).execute(`echo '${user}' > me; cat me`), user);
    }
    assert.equal(await asUser(program, uuid, policy).execute('echo still there'), 'still there');
    await program.kill();
    program = await serve(place.variables);
    for (const user of users) assert.equal(await asUser(program, user, policy).execute('cat me'), user);
    await ready(5);
    const all = await containers();
    assert.equal(all.filter((one) => !isWarm(one)).length, 4);
    assert.equal(new Set(all.map((one) => one.key)).size, 9);
  });

  test("a new revision is on those that are nobody's first, and users in use keep theirs", async () => {
    const users = (await containers()).filter((one) => !isWarm(one)).map(({ id }) => id);
    await declare({ warm: 5, env: { GENERATION: '2' } });
    const all = await waitFor(
      async () => {
        const now = await allContainers();
        const warm = now.filter(isWarm);
        const through = warm.length === 5 && warm.every((one) => one.variables.includes('GENERATION=2'));
        // The answers to discovery are taken anew.
        if (now.some(isOfDiscovery)) return undefined;
        return through ? now : undefined;
      },
      120_000,
      () => program.log().slice(-3_000),
    );
    await ready(5);
    assert.deepEqual(
      all
        .filter((one) => !isWarm(one))
        .map(({ id }) => id)
        .sort(),
      users.sort(),
    );
  });

  test('20 users at once where 5 are warm all get their own, and never are there more than may be', async () => {
    const users = Array.from({ length: 20 }, (_, index) => `user${index}`);
    let most = 0;
    let looking = true;
    const watching = (async () => {
      while (looking) {
        most = Math.max(most, (await containers()).filter(({ running }) => running).length);
        await new Promise((resolve) => setTimeout(resolve, 200));
      }
    })();
    const answers = await Promise.all(
      users.map((user) => asUser(program, user, policy).execute(`echo ${user} > me; cat me`)),
    ).finally(() => {
      looking = false;
      return watching;
    });
    assert.deepEqual(answers, users);
    assert.ok(most <= 24, `${most} at once`);
    const all = (await containers()).filter(({ running }) => running);
    assert.equal(all.length, 24);
    assert.equal(new Set(all.map((one) => one.key)).size, 24);
  });

  test('on a full host who comes is told so, or the one idle the longest makes room', async () => {
    const late = asUser(program, 'late', policy);
    const refused = await late.request('/health');
    assert.equal(refused.status, 503);
    assert.ok(Number(refused.headers.get('retry-after')) > 0);
    const problem = JSON.parse(await refused.text());
    assert.equal(problem.type, 'urn:terminals:problem:over-budget');
    assert.match(problem.detail, /TERMINALS_MAX_TERMINALS, 24/);

    await declare({ warm: 5, env: { GENERATION: '2' } }, 0.001);
    const answer = await waitFor(
      async () => {
        const response = await late.request('/health');
        return response.status === 200 ? response : undefined;
      },
      60_000,
      () => program.log().slice(-3_000),
    );
    assert.equal(answer.status, 200);
    const all = await containers();
    // Those that are idle and outdated are being replaced at the same time.
    assert.ok(all.filter(({ running }) => running).length <= 24);
    assert.ok(
      all.some(({ running }) => !running),
      'it was stopped, and is kept',
    );
  });

  test('fewer are kept where fewer are wanted, and none where the policy is gone', async () => {
    // A terminal that is being replaced meanwhile is there again.
    const deleted = async () => {
      await command(['delete', '--all', '--yes'], place.variables);
      return (await containers()).every(isWarm) || undefined;
    };
    await waitFor(deleted, 60_000);
    await declare({ warm: 2 });
    await ready(2);
    await declare({ warm: 1 });
    const count = async (wanted: number) =>
      waitFor(
        async () => (await containers()).length === wanted || undefined,
        60_000,
        () => program.log().slice(-3_000),
      );
    await count(1);
    const file = path.join(place.policies, `${policy}.yaml`);
    await rename(file, `${file}.gone`);
    await count(0);
  });
});
