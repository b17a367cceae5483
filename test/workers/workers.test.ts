/** The whole program with workers, as one who calls it sees it. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { policyText } from '../policy/fixtures.ts';
import {
  answerOf,
  asAlice,
  assertProblem,
  nextChunk,
  open,
  send,
  sharedKey,
  textOf,
} from '../proxy/stack.ts';
import { authenticate, dial, speaks } from '../proxy/websocket/clients.ts';
import { until } from '../reconcile/harness.ts';
import { type Line, manyConnections, type ServedByWorkers, servedByWorkers, workers } from './serve.ts';

const asCaller = { authorization: `Bearer ${sharedKey}` };
const json = { ...asCaller, 'content-type': 'application/json' };

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** The admin API answers when every worker has heard what the primary knew before. */
async function workersKeepUp(served: ServedByWorkers): Promise<void> {
  assert.equal((await send(served, '/api/v1/policies', { headers: asCaller })).status, 200);
}

test('requests by any worker', async (t) => {
  const served = await servedByWorkers(t, {
    files: { 'one.yaml': policyText('one') },
    env: { TERMINALS_POLICY_WRITES: 'true' },
  });

  await t.test('all workers serve, all from the same terminal, and are counted together', async () => {
    for (const { status, body } of await served.byEach('/execute'))
      assert.deepEqual([status, body], [200, 'ok']);
    const requests = served.lines().filter(({ msg }) => msg === 'request');
    assert.deepEqual(new Set(requests.map(({ worker }) => worker)), new Set([1, 2]));
    assert.equal(new Set(requests.map(({ terminal }) => terminal)).size, 1);
    const { body } = await send(served, '/metrics', { headers: asCaller });
    assert.match(body, new RegExp(`^terminals_requests_total\\{status="2xx"\\} ${manyConnections}$`, 'm'));
    assert.match(body, /^process_start_time_seconds \d+$/m);
    assert.match(body, new RegExp(`^terminals_request_duration_seconds_count ${manyConnections}$`, 'm'));
    assert.match(body, /^terminals_actions_total\{action="create"\} 1$/m);
    assert.match(body, /^terminals_build_info\{version="1.2.3",backend="process"\} 1$/m);
  });

  await t.test('what is refused is refused in the same words by every worker', async () => {
    const cases: readonly (readonly [string, Record<string, string>, number, string])[] = [
      ['/execute', { 'x-user-id': 'alice' }, 401, 'unauthenticated'],
      ['/execute', asCaller, 400, 'user-missing'],
      ['/p/nothing/execute', asAlice, 404, 'policy-unknown'],
      ['/p/%zz/execute', asAlice, 400, 'bad-request'],
      ['/api/v1/policies', {}, 401, 'unauthenticated'],
      ['/api/v1/nothing', asCaller, 404, 'not-found'],
      ['/metrics', {}, 401, 'unauthenticated'],
      ['/openapi.json', {}, 401, 'unauthenticated'],
    ];
    for (const [target, headers, status, code] of cases) {
      const withId = { ...headers, 'x-request-id': `id-of-${code}` };
      for (const answer of await served.byEach(target, withId)) {
        const { instance } = assertProblem(answer, status, code);
        assert.equal(instance, `urn:terminals:request:id-of-${code}`, target);
      }
    }
  });

  await t.test(
    'health, readiness, info, discovery and the admin API are answered by the primary',
    async () => {
      for (const { body } of await served.byEach('/health', {})) assert.equal(body, '{"status":"ok"}');
      for (const { status } of await served.byEach('/ready', {})) assert.equal(status, 200);
      for (const { body } of await served.byEach('/info', {}))
        assert.equal(JSON.parse(body).version, '1.2.3');
      served.upstream.handle = (_request, response) => response.end('{"openapi":"3.1.0","security":[]}');
      for (const { status, body } of await served.byEach('/openapi.json', asCaller))
        assert.deepEqual([status, body], [200, '{"openapi":"3.1.0"}']);
      for (const { body } of await served.byEach('/api/v1/policies', asCaller))
        assert.match(body, /"id":"default"/);
    },
  );

  await t.test('the admin API shows what every worker does at that moment', async () => {
    served.upstream.handle = (request, response) => {
      if (request.url === '/held') response.write('begun');
      else response.end('ok');
    };
    const held = await Promise.all(
      Array.from({ length: manyConnections }, () => answerOf(open(served, '/held', { method: 'GET' }).end())),
    );
    const { body } = await send(served, '/api/v1/terminals', { headers: asCaller });
    assert.equal(JSON.parse(body).terminals[0].in_flight, manyConnections);
    for (const response of held) response.destroy();
  });

  await t.test(
    'a policy that was written by the admin API counts in every worker when it answers',
    async () => {
      for (let number = 0; number < 5; number += 1) {
        const sent = { method: 'POST', headers: { ...json, 'transfer-encoding': 'chunked' } };
        const made = await send(served, '/api/v1/policies', {
          ...sent,
          body: `{"id":"made-${number}","data":{}}`,
        });
        assert.equal(made.status, 201, made.body);
        for (const { status, body } of await served.byEach(`/p/made-${number}/execute`))
          assert.equal(status, 200, body);
        const gone = await send(served, `/api/v1/policies/made-${number}`, {
          method: 'DELETE',
          headers: asCaller,
        });
        assert.ok(gone.status < 300, gone.body);
        for (const answer of await served.byEach(`/p/made-${number}/execute`))
          assertProblem(answer, 404, 'policy-unknown');
      }
    },
  );

  await t.test('a session made by one worker is good for one WebSocket of another', async (t) => {
    let made = 0;
    served.upstream.handle = (_request, response) => {
      made += 1;
      response.end(JSON.stringify({ id: `s-${made}` }));
    };
    const terminal = speaks(t, served);
    for (let number = 1; number <= manyConnections; number += 1) {
      const { body } = await send(served, '/api/terminals', { method: 'POST' });
      const session = `/api/terminals/${JSON.parse(body).id}`;
      const client = await dial(t, served, session);
      authenticate(client, '');
      client.socket.send('typed');
      const peer = await terminal.peer(number - 1);
      assert.deepEqual((await peer.messages(2))[1], 'typed');
      const second = await dial(t, served, session);
      authenticate(second, '');
      assert.equal((await second.closed())[0], 4001, 'it is taken');
    }
    const both = new Set(
      served.lines().flatMap(({ path: at, worker }) => (at === '/api/terminals' ? [worker] : [])),
    );
    assert.equal(both.size, workers);
  });

  await t.test(
    'a signal to a worker is not its to heed: all signals of a terminal go to every process',
    async () => {
      for (const pid of served.pids()) process.kill(pid, 'SIGINT');
      for (const { status } of await served.byEach('/execute')) assert.equal(status, 200);
      assert.ok(served.pids().every(isAlive));
    },
  );
});

test('a file that is written or broken counts in every worker soon', async (t) => {
  const served = await servedByWorkers(t, { files: { 'one.yaml': policyText('one') } });
  const file = path.join(served.folder, 'policies', 'late.yaml');
  await writeFile(file, policyText('late'));
  await served.line(({ msg, added }) => msg === 'policies changed' && String(added) === 'late', 'the change');
  await workersKeepUp(served);
  for (const { status } of await served.byEach('/p/late/execute')) assert.equal(status, 200);
  await writeFile(file, 'kind: [');
  await served.line(
    ({ level, file: where }) => level === 'error' && String(where).includes('late'),
    'the problem',
  );
  await workersKeepUp(served);
  for (const { status } of await served.byEach('/p/late/execute')) assert.equal(status, 200);
});

test('a key that is taken out of its file is refused by every worker', async (t) => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'terminals-keys-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = path.join(folder, 'key');
  await writeFile(file, `old-key\n${sharedKey}`);
  const served = await servedByWorkers(t, { env: { TERMINALS_API_KEY: '', TERMINALS_API_KEY_FILE: file } });
  const old = { authorization: 'Bearer old-key', 'x-user-id': 'alice' };
  for (const { status } of await served.byEach('/execute', old)) assert.equal(status, 200);
  await writeFile(file, `${sharedKey}\n`);
  const read = () => served.lines().filter(({ msg, keys }) => msg === 'keys read' && keys === 1).length;
  await until(() => read() === workers + 1, 'everybody has read it', 30_000);
  for (const { status } of await served.byEach('/execute', old)) assert.equal(status, 401);
  for (const { status } of await served.byEach('/execute')) assert.equal(status, 200);
});

test('a silent request keeps its terminal from being stopped, though only its worker knows of it', async (t) => {
  const files = { 'default.yaml': policyText('default', 'idleTimeoutMinutes: 0.005') };
  const served = await servedByWorkers(t, { files });
  served.upstream.handle = (request, response) => {
    if (request.url === '/held') setTimeout(() => response.end('whole'), 1_500);
    else response.end('ok');
  };
  for (const { status } of await served.byEach('/execute')) assert.equal(status, 200);
  const held = await send(served, '/held');
  assert.deepEqual([held.status, held.body], [200, 'whole']);
  const isAnswer = ({ path: at }: Line) => at === '/held';
  await served.line(isAnswer, 'the answer');
  // On a slow machine it may have been stopped before that, and started again for it.
  const lines = served.lines();
  const before = lines.slice(0, lines.findIndex(isAnswer)).filter(({ action }) => action !== undefined);
  assert.notEqual(before.at(-1)?.action, 'stop', 'not before it was answered');
  const stopped = () => served.lines().findLastIndex(({ action }) => action === 'stop');
  await until(() => stopped() > lines.findIndex(isAnswer), 'it is stopped afterwards', 30_000);
});

test('a worker that is killed takes its own requests with it and no others, and another takes its place', async (t) => {
  const served = await servedByWorkers(t);
  served.upstream.handle = (request, response) => {
    if (request.url === '/held') response.write(`begun `);
    else response.end('ok');
  };
  const held = await Promise.all(
    Array.from({ length: manyConnections }, async () => {
      const response = await answerOf(open(served, '/held', { method: 'GET' }).end());
      await nextChunk(response);
      return response;
    }),
  );
  let cut = 0;
  for (const response of held) response.on('error', () => undefined).on('close', () => (cut += 1));
  const counted = await send(served, '/metrics', { headers: asCaller });
  const [victim = 0] = served.pids();
  process.kill(victim, 'SIGKILL');
  await until(() => cut > 0, 'its requests are cut');
  await served.line(
    ({ msg, pid }) => String(msg).startsWith('a worker ended') && pid === victim,
    'it is said',
  );
  await until(() => served.pids().length === workers + 1, 'another listens', 30_000);
  assert.ok(cut < manyConnections, "the other one's go on");
  for (const { status } of await served.byEach('/execute')) assert.equal(status, 200);
  const { body } = await send(served, '/api/v1/terminals', { headers: asCaller });
  assert.equal(JSON.parse(body).terminals[0].in_flight, manyConnections - cut);
  const total = ({ body: text }: { body: string }) =>
    Number(/^terminals_requests_total\{status="2xx"\} (\d+)$/m.exec(text)?.[1] ?? 0);
  assert.ok(
    total(await send(served, '/metrics', { headers: asCaller })) >= total(counted),
    'no counter fell',
  );
  for (const response of held) response.destroy();
});

test('a worker that does not come round any more is ended, and another takes its place', async (t) => {
  const served = await servedByWorkers(t, { env: { TERMINALS_TEST_HUNG_MS: '2000' } });
  const [victim = 0] = served.pids();
  process.kill(victim, 'SIGSTOP');
  await served.line(({ msg, pid }) => msg === 'a worker hangs and is ended' && pid === victim, 'it is said');
  await until(() => served.pids().length === workers + 1, 'another listens', 30_000);
  assert.ok(!isAlive(victim));
  for (const { status } of await served.byEach('/execute')) assert.equal(status, 200);
  const others = served.lines().filter(({ msg }) => msg === 'a worker hangs and is ended');
  assert.equal(others.length, 1, 'and no other');
});

test('SIGTERM lets requests end, tells WebSockets to come back, and leaves no process and no socket', async (t) => {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'terminals-own-'));
  t.after(() => rm(folder, { recursive: true }));
  const served = await servedByWorkers(t, { env: { TMPDIR: folder } });
  assert.equal((await readdir(folder)).length, 1);
  served.upstream.handle = (request, response) => {
    if (request.url === '/held') response.write('begun ');
    else response.end('ok');
    if (request.url === '/held') setTimeout(() => response.end('and ended'), 700);
  };
  const terminal = speaks(t, served);
  const client = await dial(t, served);
  authenticate(client);
  await (await terminal.peer()).messages(1);
  const response = await answerOf(open(served, '/held', { method: 'GET' }).end());
  const text = textOf(response);
  assert.equal(await served.end('SIGTERM'), 0);
  assert.equal(await text, 'begun and ended');
  assert.equal((await client.closed())[0], 1012);
  await until(() => !served.pids().some(isAlive), 'no worker is left');
  assert.deepEqual(await readdir(folder), [], 'nor its folder');
});

test('workers end with their primary, however it ended', async (t) => {
  const served = await servedByWorkers(t);
  await served.end('SIGKILL');
  await until(() => !served.pids().some(isAlive), 'no worker is left', 30_000);
});

test('where the port is taken it does not start, and says so', async (t) => {
  const other = net.createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.after(() => other.close());
  const address = other.address();
  assert.ok(typeof address === 'object' && address);
  const served = await servedByWorkers(t, { listens: false, env: { TERMINALS_PORT: String(address.port) } });
  const { err } = await served.line(({ msg }) => msg === 'not started', 'the reason');
  assert.match(JSON.stringify(err), /EADDRINUSE/);
  await until(() => served.child.exitCode !== null, 'it ended', 30_000);
  assert.equal(served.child.exitCode, 1);
});

test('at the port of another one with workers it does not start either, though the kernel would let it', async (t) => {
  const first = await servedByWorkers(t);
  const env = { TERMINALS_PORT: String(first.port) };
  const second = await servedByWorkers(t, { listens: false, env });
  const { err } = await second.line(({ msg }) => msg === 'not started', 'the reason');
  assert.match(JSON.stringify(err), /EADDRINUSE/);
  for (const { status } of await first.byEach('/execute')) assert.equal(status, 200);
});
