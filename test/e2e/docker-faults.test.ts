/** What goes wrong outside of the program: containers taken away under it, the program killed while it starts them. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { docker } from '../backend/docker/engine.ts';
import { withoutDocker } from '../engines.ts';
import { makePlace, type Place } from './place.ts';
import { asUser, command, type RunningProgram, serve, waitFor } from './program.ts';

/** The containers of a user, also of those that do not run. */
async function containersOf(user: string) {
  const filters = { label: ['managed-by=terminals', `openwebui.com/user-id=${user}`] };
  return docker.listContainers({ all: true, filters });
}

async function onlyContainerOf(user: string) {
  const [one, ...others] = await containersOf(user);
  assert.ok(one, 'there is no container');
  assert.deepEqual(others, []);
  return docker.getContainer(one.Id);
}

async function keyOf(user: string): Promise<string> {
  const { Config } = await (await onlyContainerOf(user)).inspect();
  const key = Config.Env.find((variable) => variable.startsWith('OPEN_TERMINAL_API_KEY='));
  assert.ok(key);
  return key;
}

/** The problem that a request was answered with. */
async function problemOf(response: Response): Promise<{ type: string; status: number; detail: string }> {
  assert.equal(response.headers.get('content-type'), 'application/problem+json');
  const problem = JSON.parse(await response.text());
  assert.equal(problem.status, response.status);
  return problem;
}

describe('faults of containers', { skip: await withoutDocker() }, () => {
  let place: Place;
  let program: RunningProgram;

  before(async () => {
    place = await makePlace('docker');
    // Ten start at once, on whatever machine.
    await place.declare('default', { startTimeoutSeconds: 120 });
    await place.declare('missing', { image: 'localhost:1/no/such-image:1' });
    await place.declare('dying', { env: { PYTHONHOME: '/nowhere' } });
    program = await serve(place.variables);
  });

  after(async () => {
    await program?.stop();
    await place?.clear();
  });

  test('100 first requests of one user at once make exactly one container, and are all answered', async () => {
    const user = randomUUID();
    const alice = asUser(program, user);
    const answers = await Promise.all(
      Array.from({ length: 100 }, async () => {
        const response = await alice.request('/files/cwd');
        return [response.status, await response.text()];
      }),
    );
    assert.deepEqual(new Set(answers.map(([status]) => status)), new Set([200]));
    await onlyContainerOf(user);
    const created = program
      .log()
      .split('\n')
      .filter((line) => line.includes(user) && /"action":"create"/.test(line));
    assert.equal(created.length, 1);
  });

  for (const [what, take] of [
    ['killed', (user: string) => onlyContainerOf(user).then((container) => container.kill())],
    [
      'removed',
      (user: string) => onlyContainerOf(user).then((container) => container.remove({ force: true })),
    ],
    ['stopped', (user: string) => onlyContainerOf(user).then((container) => container.stop({ t: 5 }))],
  ] as const) {
    test(`a container ${what} from outside is there again for the next request, with the files`, async () => {
      const user = randomUUID();
      const alice = asUser(program, user);
      await alice.execute('echo kept > ~/note');
      await take(user);
      assert.equal(await alice.execute('cat ~/note'), 'kept');
      await onlyContainerOf(user);
    });
  }

  test('a request under way when its container is killed ends with a problem, and does not hang', async () => {
    const user = randomUUID();
    const alice = asUser(program, user);
    await alice.execute('true');
    const asked = alice.request('/execute?wait=60', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ command: 'touch /tmp/runs; sleep 60' }),
    });
    const runs = async () => (await alice.execute('ls /tmp/runs 2> /dev/null; true')) === '/tmp/runs';
    await waitFor(runs, 10_000);
    await (await onlyContainerOf(user)).kill();
    const problem = await problemOf(await asked);
    assert.equal(problem.status, 502, problem.detail);
  });

  test('a paused terminal is answered with a problem that says how to undo it, until that is done', async () => {
    const user = randomUUID();
    const alice = asUser(program, user);
    await alice.execute('touch /tmp/mark');
    const container = await onlyContainerOf(user);
    await container.pause();
    const began = performance.now();
    const problem = await waitFor(async () => {
      const response = await alice.request('/files/cwd', { signal: AbortSignal.timeout(10_000) });
      // The event may come after the request; then that one fails in another way.
      return [503, 504].includes(response.status) ? problemOf(response) : undefined;
    }, 10_000);
    assert.ok(performance.now() - began < 10_000);
    assert.match(problem.detail, /docker unpause/);
    assert.equal(problem.type, 'urn:terminals:problem:terminal-paused');
    await container.unpause();
    const marked = async () => (await alice.request('/files/cwd')).status === 200;
    await waitFor(marked, 10_000);
    assert.equal(await alice.execute('ls /tmp/mark'), '/tmp/mark');
  });

  test('a missing image is a 503 problem that says so', async () => {
    const problem = await problemOf(await asUser(program, randomUUID(), 'missing').request('/files/cwd'));
    assert.equal(problem.status, 503);
    assert.equal(problem.type, 'urn:terminals:problem:image-pull-failed');
    assert.match(problem.detail, /localhost:1\/no\/such-image:1/);
  });

  test('a terminal that dies at its start is a problem at once, and leaves nothing', async () => {
    const user = randomUUID();
    const began = performance.now();
    const problem = await problemOf(await asUser(program, user, 'dying').request('/files/cwd'));
    assert.equal(problem.type, 'urn:terminals:problem:start-failed');
    assert.match(problem.detail, /exit code 1/);
    assert.ok(performance.now() - began < 10_000);
    assert.deepEqual(await containersOf(user), []);
  });

  test('evil user ids get terminals of their own, in homes below the data directory', async () => {
    const users = [
      '../../etc',
      '..',
      'a/b',
      'Alice',
      'alice',
      'x'.repeat(200),
      '%2e%2e%2f',
      '-rf ~; $(id)',
      'ünï',
    ];
    const answers = await Promise.all(
      users.map((user, at) => asUser(program, user).execute(`echo ${at} >> ~/note; cat ~/note`)),
    );
    assert.deepEqual(
      answers,
      users.map((_user, at) => String(at)),
    );
    const data = path.join(place.folder, 'data');
    for (const user of users) {
      // A header's bytes are taken as they are.
      const { Mounts } = await (await onlyContainerOf(user)).inspect();
      const source = Mounts.find(({ Destination }) => Destination === '/home/user')?.Source ?? '';
      assert.equal(path.dirname(source), path.join(data, 'default'), user);
    }
    const folders = (await readdir(data)).filter((name) => !name.startsWith('.'));
    assert.ok(
      folders.every((name) => ['default', 'missing', 'dying'].includes(name)),
      folders.join(),
    );
    assert.deepEqual((await readdir(place.folder)).sort(), ['data', 'policies']);
  });

  test('killed at random moments of ten starts, it comes back without duplicates or orphans', async () => {
    const users = Array.from({ length: 10 }, () => randomUUID());
    for (let round = 0; round < 4; round += 1) {
      const requests = users.map((user) =>
        asUser(program, user)
          .request('/files/cwd')
          .catch(() => null),
      );
      await sleep(Math.random() * 2_500);
      await program.kill();
      await Promise.all(requests);
      for (const user of users) {
        const found = await containersOf(user);
        assert.ok(found.length <= 1, `${found.length} containers of ${user} after round ${round}`);
      }
      program = await serve(place.variables);
    }
    const homes = await Promise.all(
      users.map((user) => asUser(program, user).execute('echo here >> ~/n; cat ~/n')),
    );
    assert.deepEqual(new Set(homes), new Set(['here']));
    const keys = await Promise.all(users.map(keyOf));
    assert.equal(new Set(keys).size, users.length);

    await program.kill();
    program = await serve(place.variables);
    await Promise.all(users.map((user) => asUser(program, user).execute('true')));
    assert.deepEqual(await Promise.all(users.map(keyOf)), keys);
    const { out } = await command(['list', '--json'], place.variables);
    const listed: { user: string }[] = JSON.parse(out);
    for (const user of users) assert.equal(listed.filter((one) => one.user === user).length, 1);
  });
});
