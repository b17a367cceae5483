import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import Docker from 'dockerode';
import { DockerBackend } from '../../../src/backend/docker/docker-backend.ts';
import { dockerAnswers } from '../../../src/backend/docker/engine.ts';
import { EngineUnavailableError } from '../../../src/errors.ts';
import { desired } from '../../terminal/fixtures.ts';
import { never, quiet, silent, Told, until } from './engine.ts';

function backendOn(docker: Docker): DockerBackend {
  const dataDir = path.join(os.tmpdir(), `terminals-never-made-${randomBytes(4).toString('hex')}`);
  return new DockerBackend({
    dataDir,
    networks: ['some'],
    publishHost: '127.0.0.1',
    mounts: [],
    log: silent,
    docker,
  });
}

const absent = path.join(os.tmpdir(), 'no-engine-here.sock');
const engines: readonly (readonly [string, Docker])[] = [
  // Nobody listens at port 1, and no other test is given it.
  ['at a closed port', new Docker({ host: '127.0.0.1', port: 1, protocol: 'http' })],
  ['at a socket that is not there', new Docker({ socketPath: absent })],
  ['at a file that is no socket', new Docker({ socketPath: import.meta.filename })],
];

for (const [where, docker] of engines) {
  describe(`an engine ${where}`, () => {
    test('fails every call at once, as a 503 that says what to check', async () => {
      const backend = backendOn(docker);
      const wanted = { ...desired(), workload: { ...desired().workload, persistent: false } };
      const calls: Record<string, () => Promise<unknown>> = {
        list: () => backend.list(never),
        inspect: () => backend.inspect(wanted.key, never),
        prepare: () => backend.prepare(wanted.workload, quiet, never),
        create: () => backend.create(wanted, quiet, never),
        start: () => backend.start(wanted, quiet, never),
        update: () => backend.update(wanted, never),
        stop: () => backend.stop(wanted.key, never),
        remove: () => backend.remove(wanted.key, { files: false }, never),
      };
      const began = performance.now();
      for (const [name, call] of Object.entries(calls)) {
        await assert.rejects(call(), (error: unknown) => {
          assert.ok(error instanceof EngineUnavailableError, `${name}: ${error}`);
          assert.equal(error.status, 503);
          assert.match(error.hint, /DOCKER_HOST/);
          return true;
        });
      }
      assert.ok(performance.now() - began < 2_000);
      assert.equal(await dockerAnswers(docker), false);
    });
  });
}

test('an engine that takes connections and says nothing does not answer', async (t) => {
  const sockets: net.Socket[] = [];
  const server = net.createServer((socket) => void sockets.push(socket)).listen(0, '127.0.0.1');
  t.after(() => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  assert.ok(typeof address === 'object' && address);
  const docker = new Docker({ host: '127.0.0.1', port: address.port, protocol: 'http' });
  assert.equal(await dockerAnswers(docker, 200), false);
  await assert.rejects(backendOn(docker).list(AbortSignal.timeout(200)), EngineUnavailableError);
});

test('an engine that fails at whatever it is asked is said to fail, in its own words', async (t) => {
  const server = http.createServer((_request, response) => {
    response.writeHead(500, { 'content-type': 'application/json' });
    response.end('{"message":"database is locked"}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  const address = server.address();
  assert.ok(typeof address === 'object' && address);
  const backend = backendOn(new Docker({ host: '127.0.0.1', port: address.port, protocol: 'http' }));
  const { key } = desired();
  const calls = [
    () => backend.list(never),
    () => backend.inspect(key, never),
    () => backend.stop(key, never),
    () => backend.remove(key, { files: false }, never),
  ];
  for (const call of calls) {
    await assert.rejects(call(), (error: unknown) => {
      assert.ok(error instanceof EngineUnavailableError, String(error));
      assert.match(error.message, /database is locked/);
      return true;
    });
  }
});

test('following the events of a dead engine goes on trying, and ends when it shall', async () => {
  const said: string[] = [];
  const log = silent.child({}, { level: 'info' });
  log.warn = ((_fields: unknown, message: string) => void said.push(message)) as typeof log.warn;
  const told = new Told(desired().key);
  const stop = new AbortController();
  const docker = new Docker({ socketPath: absent });
  const options = { dataDir: os.tmpdir(), networks: [], publishHost: '127.0.0.1', mounts: [], log, docker };
  new DockerBackend(options).watch(told, stop.signal);
  await until(() => said.length > 0, 2_000);
  stop.abort();
  assert.match(said[0] ?? '', /event stream is lost/);
  assert.deepEqual(told.relists, []);
});
