import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { Docker } from '../../../src/backend/docker/client.ts';

const require = createRequire(import.meta.url);
const loaded = (library: string) =>
  Object.keys(require.cache).some((file) => file.includes(`/node_modules/${library}/`));

test('what only ssh and BuildKit need is loaded when it is called, and works then', async (t) => {
  const before = process.env.DOCKER_HOST;
  t.after(() => {
    process.env.DOCKER_HOST = before;
    if (before === undefined) delete process.env.DOCKER_HOST;
  });
  assert.ok(loaded('dockerode'));
  for (const library of ['@grpc/grpc-js', 'protobufjs', 'ssh2'])
    assert.equal(loaded(library), false, library);

  process.env.DOCKER_HOST = 'ssh://nobody@127.0.0.1';
  await assert.rejects(new Docker().ping(), /ECONNREFUSED|authentication methods failed/);
  assert.ok(loaded('ssh2'));

  const withSession = createRequire(require.resolve('dockerode'))('./session');
  const refused = new Error('the engine does not know sessions');
  const modem = { dial: (_options: unknown, answered: (error: Error) => void) => answered(refused) };
  const told = await new Promise((resolve) => withSession({ modem }, null, resolve));
  assert.equal(told, refused);
  assert.ok(loaded('@grpc/grpc-js'));
});
