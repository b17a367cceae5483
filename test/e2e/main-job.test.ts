/** The main job as Open WebUI sees it, on every backend: a policy file in, each user's own terminal out. */
import assert from 'node:assert/strict';
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { WebSocket } from 'ws';
import { withoutDocker } from '../engines.ts';
import { makePlace, type Place } from './place.ts';
import { asUser, command, key, type RunningProgram, serve, waitFor } from './program.ts';

const backends = [
  { backend: 'docker', workers: 1, skip: await withoutDocker() },
  { backend: 'docker', workers: 2, skip: await withoutDocker() },
  { backend: 'process', workers: 1, skip: false },
] as const;

/** A process that sleeps so long is none of another test: some backends have all terminals on one host. */
const sleepsFor = () => randomInt(100_000, 1_000_000);
/** Twenty start at once, on whatever machine. */
const usual = { idleTimeoutMinutes: 30, startTimeoutSeconds: 120 };

/** An answer that has to be a JSON object. */
async function json(response: Response): Promise<Record<string, unknown>> {
  const body: unknown = JSON.parse(await response.text());
  assert.ok(typeof body === 'object' && body !== null);
  return { ...body };
}

for (const { backend, workers, skip } of backends) {
  describe(`main job on ${backend}${workers === 1 ? '' : ` by ${workers} workers`}`, { skip }, () => {
    let place: Place;
    let program: RunningProgram;

    before(async () => {
      place = await makePlace(backend, { TERMINALS_WORKERS: String(workers) });
      await place.declare('default', usual);
      await place.declare('short', { idleTimeoutMinutes: 0.05 });
      program = await serve(place.variables);
    });

    after(async () => {
      await program?.stop();
      await place?.clear();
    });

    test('a user runs a command in a terminal of their own', async () => {
      const output = await asUser(program, randomUUID()).execute('echo $((6 * 7)); pwd');
      assert.match(output, /^42\n\/.+/);
    });

    test('a file goes up and comes down as it was', async () => {
      const alice = asUser(program, randomUUID());
      const content = randomBytes(300_000);
      const form = new FormData();
      form.append('file', new Blob([content]), 'data.bin');
      const home = await alice.execute('pwd');
      const up = await alice.request(`/files/upload?directory=${encodeURIComponent(home)}`, {
        method: 'POST',
        body: form,
      });
      assert.equal(up.status, 200, await up.text());
      const down = await alice.request(`/files/view?path=${encodeURIComponent(`${home}/data.bin`)}`);
      assert.deepEqual(Buffer.from(await down.arrayBuffer()), content);
    });

    test('two users do not see each other’s files', async () => {
      const alice = asUser(program, randomUUID());
      const bob = asUser(program, randomUUID());
      await alice.execute('echo private > ~/note.txt');
      assert.equal(await alice.execute('cat ~/note.txt'), 'private');
      assert.match(await bob.execute('cat ~/note.txt || true'), /No such file/);
    });

    test('a shell over WebSocket echoes what is typed', async () => {
      const user = randomUUID();
      const alice = asUser(program, user);
      const made = await alice.request('/api/terminals', { method: 'POST' });
      const { id } = JSON.parse(await made.text());
      const socket = new WebSocket(
        `${program.url.replace('http', 'ws')}/api/terminals/${id}?user_id=${user}`,
        {
          headers: { 'x-user-id': user, 'x-session-id': '' },
        },
      );
      let screen = '';
      socket.on('message', (data) => {
        screen += data.toString();
      });
      await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
      socket.send(JSON.stringify({ type: 'auth', token: key }));
      socket.send(JSON.stringify({ type: 'resize', cols: 100, rows: 30 }));
      socket.send(Buffer.from('echo typed-$((40 + 2)); stty size\n'));
      await waitFor(
        () => (/typed-42[\s\S]*30 100/.test(screen) ? true : undefined),
        10_000,
        () => screen,
      );
      const closed = new Promise((resolve) => socket.once('close', resolve));
      socket.close();
      await closed;
    });

    test('a wrong first frame closes a WebSocket with 4001, and no user with 4002', async () => {
      const url = `${program.url.replace('http', 'ws')}/api/terminals/x`;
      const closeCode = async (headers: Record<string, string>, token: string) => {
        const socket = new WebSocket(url, { headers });
        await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
        socket.send(JSON.stringify({ type: 'auth', token }));
        return new Promise((resolve) => socket.once('close', resolve));
      };
      assert.equal(await closeCode({ 'x-user-id': 'alice' }, 'wrong'), 4001);
      assert.equal(await closeCode({}, key), 4002);
    });

    test('a restart finds the same terminals with the same keys', async () => {
      const user = randomUUID();
      const seconds = sleepsFor();
      const mark = '/tmp/mark-of-a-restart';
      await asUser(program, user).execute(
        `echo $$ > ${mark}-${user}; sleep ${seconds} > /dev/null 2>&1 & echo started`,
      );
      await program.stop();
      program = await serve(place.variables);
      assert.match(
        await asUser(program, user).execute(
          `pgrep -f '[s]leep ${seconds}' > /dev/null && echo alive; cat ${mark}-${user}`,
        ),
        /^alive\n\d+$/,
      );
    });

    test('killed without warning, it takes up what ran', async () => {
      const user = randomUUID();
      const seconds = sleepsFor();
      await asUser(program, user).execute(`sleep ${seconds} > /dev/null 2>&1 & echo started`);
      await program.kill();
      program = await serve(place.variables);
      assert.equal(
        await asUser(program, user).execute(`pgrep -f '[s]leep ${seconds}' > /dev/null && echo alive`),
        'alive',
      );
    });

    test('an idle terminal is stopped, and comes back with its files', async () => {
      const user = randomUUID();
      const alice = asUser(program, user, 'short');
      const seconds = sleepsFor();
      await alice.execute(`echo kept > ~/kept.txt; sleep ${seconds} > /dev/null 2>&1 & echo started`);
      await waitFor(
        async () => {
          const { out } = await command(['list', '--json'], place.variables);
          const terminals: { user: string; phase: string }[] = JSON.parse(out);
          return terminals.find((one) => one.user === user)?.phase === 'Idle' ? true : undefined;
        },
        15_000,
        () => program.log().slice(-2000),
      );
      assert.equal(await alice.execute(`cat ~/kept.txt; pgrep -f '[s]leep ${seconds}' || true`), 'kept');
    });

    test('a broken policy file changes nothing and says where it is broken', async () => {
      const user = randomUUID();
      const before = await asUser(program, user).execute('echo $PPID');
      const file = path.join(place.policies, 'default.yaml');
      await writeFile(file, 'kind: Policy\n  broken: [');
      await waitFor(
        () => (/default\.yaml:2:\d+: error/.test(program.log()) ? true : undefined),
        5_000,
        () => program.log().slice(-2000),
      );
      assert.equal(await asUser(program, user).execute('echo $PPID'), before);
      await place.declare('default', usual);
    });

    test('a new policy is there as soon as its file is, and gone with it', async () => {
      const file = path.join(place.policies, 'late.yaml');
      await place.declare('late', { env: { GREETING: 'hello' } });
      const late = asUser(program, randomUUID(), 'late');
      await waitFor(
        async () => ((await late.request('/files/cwd')).status === 200 ? true : undefined),
        10_000,
      );
      assert.equal(await late.execute('echo $GREETING'), 'hello');
      await rm(file);
      await waitFor(
        async () => ((await late.request('/files/cwd')).status === 404 ? true : undefined),
        5_000,
      );
    });

    test('discovery answers without a user, without starting anything for one', async () => {
      const headers = { authorization: `Bearer ${key}` };
      for (const base of [program.url, `${program.url}/p/short`]) {
        const document = await waitFor(async () => {
          const response = await fetch(`${base}/openapi.json`, { headers });
          return response.ok ? json(response) : undefined;
        }, 30_000);
        assert.ok(JSON.stringify(document.paths).includes('/execute'));
        assert.doesNotMatch(JSON.stringify(document), /"security(Schemes)?":/);
        const config = await fetch(`${base}/api/config`);
        assert.equal(config.status, 200);
        assert.ok((await json(config)).features);
        const system = await fetch(`${base}/system`, { headers: { ...headers, 'x-user-id': 'system' } });
        assert.equal(system.status, 200);
        assert.equal(typeof (await json(system)).prompt, 'string');
        assert.equal((await fetch(`${base}/openapi.json`)).status, 401);
        assert.equal((await fetch(`${base}/system`)).status, 401);
      }
      const { out } = await command(['list', '--json'], place.variables);
      assert.ok(
        !JSON.parse(out).some(
          ({ user }: { user: string }) => user === 'system' || user.includes('discovery'),
        ),
      );
    });

    test('every refusal is a problem that says what to do', async () => {
      const cases: [string, Record<string, string>, number, string][] = [
        ['/execute', { 'x-user-id': 'alice' }, 401, 'unauthenticated'],
        ['/execute', { authorization: 'Bearer wrong', 'x-user-id': 'alice' }, 401, 'unauthenticated'],
        ['/execute', { authorization: `Bearer ${key}` }, 400, 'user-missing'],
        [
          '/p/nothing/execute',
          { authorization: `Bearer ${key}`, 'x-user-id': 'alice' },
          404,
          'policy-unknown',
        ],
        ['/p/%zz/execute', { authorization: `Bearer ${key}`, 'x-user-id': 'alice' }, 400, 'bad-request'],
        [
          '/execute',
          { authorization: `Bearer ${key}`, 'x-user-id': 'a', 'x-terminal-context-id': 'evil' },
          400,
          'bad-request',
        ],
        ['/api/v1/policies', {}, 401, 'unauthenticated'],
        ['/api/v1/nothing', { authorization: `Bearer ${key}` }, 404, 'not-found'],
      ];
      for (const [target, headers, status, code] of cases) {
        const response = await fetch(`${program.url}${target}`, { headers });
        assert.equal(response.status, status, target);
        assert.equal(response.headers.get('content-type'), 'application/problem+json');
        const problem = await json(response);
        assert.equal(problem.type, `urn:terminals:problem:${code}`);
        assert.ok(String(problem.detail).length > 20, String(problem.detail));
        assert.equal(problem.status, status);
      }
    });

    test('health, readiness, info and the detection of Open WebUI', async () => {
      assert.deepEqual(await (await fetch(`${program.url}/health`)).json(), { status: 'ok' });
      assert.equal((await fetch(`${program.url}/ready`)).status, 200);
      const info = await json(await fetch(`${program.url}/info`));
      assert.equal(info.name, 'terminals');
      assert.match(String(info.version), /^\d+\.\d+\.\d+/);
      const detected = await fetch(`${program.url}/api/v1/policies`, {
        headers: { authorization: `Bearer ${key}` },
      });
      assert.equal(detected.status, 200);
      assert.match(await detected.text(), /"id":"default"/);
    });

    test('twenty users at once all get a terminal of their own', async () => {
      const users = Array.from({ length: 20 }, () => randomUUID());
      const answers = await Promise.all(users.map((user) => asUser(program, user).execute(`echo ${user}`)));
      assert.deepEqual(answers, users);
    });

    test('no key of anybody is in the log', async () => {
      assert.ok(!program.log().includes(key));
      assert.doesNotMatch(program.log(), /OPEN_TERMINAL_API_KEY/);
    });
  });
}
