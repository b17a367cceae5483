/** Containers that are started for nobody, and become somebody's by their name alone. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import type { DockerBackend } from '../../../src/backend/docker/docker-backend.ts';
import type { Declaration } from '../../../src/terminal/desired.ts';
import { isNobody, nobody, terminalName } from '../../../src/terminal/names.ts';
import type { Desired, RunningTerminal, TerminalKey } from '../../../src/terminal/terminal.ts';
import { withoutDocker } from '../../engines.ts';
import {
  docker,
  execute,
  never,
  type Place,
  placeFor,
  quiet,
  removeContainer,
  until,
  watch,
} from './engine.ts';

const plain: Partial<Declaration> = { persistence: { enabled: false } };
/** Whose name carries a hash, so that it can't be read back. */
const hashed = 'Alice <alice@example.org>';

async function warmOne(backend: DockerBackend, place: Place): Promise<RunningTerminal> {
  return backend.create(place.desired(nobody(randomBytes(8).toString('hex')), plain), quiet, never);
}

async function claimed(
  backend: DockerBackend,
  place: Place,
  desired: Desired,
): Promise<{ warm: RunningTerminal; terminal: RunningTerminal }> {
  const warm = await warmOne(backend, place);
  const terminal = await backend.claim(warm, desired, never);
  assert.ok(terminal);
  return { warm, terminal };
}

const claimsFile = (place: Place) => path.join(place.dataDir, '.terminals', 'claims.json');

async function mine(backend: DockerBackend, place: Place): Promise<readonly TerminalKey[]> {
  return (await backend.list(never)).map(({ key }) => key).filter(({ policy }) => policy === place.policy);
}

async function place(t: TestContext) {
  const made = await placeFor(t);
  return { place: made, backend: made.backend() };
}

describe('a container that was started for nobody', { skip: await withoutDocker() }, () => {
  test("names no user anywhere, and becomes one's at once: the same container, with the key it always had", async (t) => {
    const { place: here, backend } = await place(t);
    const warm = await warmOne(backend, here);
    assert.match(warm.name, /^terminals-warm_test-[0-9a-f]{8}_[0-9a-f]{16}$/);
    const before = await docker.getContainer(warm.name).inspect();
    assert.equal(before.Config.Labels['openwebui.com/user-id'], undefined);
    assert.equal(before.Config.Hostname, 'terminal');

    const desired = here.desired('alice', plain);
    const terminal = await backend.claim(warm, desired, never);
    assert.ok(terminal);
    assert.deepEqual([terminal.name, terminal.key], [terminalName(here.key('alice')), here.key('alice')]);
    assert.equal((await docker.getContainer(terminal.name).inspect()).Id, before.Id);
    assert.equal(terminal.apiKey, warm.apiKey);
    assert.equal(await execute(terminal, 'echo there'), 'there');
    assert.deepEqual(await mine(backend, here), [here.key('alice')]);
  });

  test('has a key that no other has', async (t) => {
    const { place: here, backend } = await place(t);
    const all = await Promise.all(
      ['a', 'b', 'c'].map((user) => claimed(backend, here, here.desired(user, plain))),
    );
    const cold = await backend.create(here.desired('d', plain), quiet, never);
    assert.equal(new Set([...all.map(({ terminal }) => terminal.apiKey), cold.apiKey]).size, 4);
  });

  test('can be claimed once only', async (t) => {
    const { place: here, backend } = await place(t);
    const { warm, terminal } = await claimed(backend, here, here.desired('alice', plain));
    assert.equal(await backend.claim(warm, here.desired('bob', plain), never), null);
    assert.equal((await backend.inspect(terminal.key, never))?.phase, 'Running');
    assert.equal(await backend.inspect(here.key('bob'), never), undefined);
  });

  test('is not claimed where the name is taken, nor where it is gone', async (t) => {
    const { place: here, backend } = await place(t);
    const desired = here.desired('alice', plain);
    const own = await backend.create(desired, quiet, never);
    const warm = await warmOne(backend, here);
    assert.equal(await backend.claim(warm, desired, never), null);
    assert.equal((await backend.inspect(desired.key, never))?.phase, 'Running');
    assert.equal((await backend.inspect(warm.key, never))?.phase, 'Running');
    assert.equal(await execute(own, 'echo still there'), 'still there');
    await removeContainer(warm.name);
    assert.equal(await backend.claim(warm, here.desired('bob', plain), never), null);
  });

  test('that does not answer any more is removed, and the user gets one of their own', async (t) => {
    const { place: here, backend } = await place(t);
    const warm = await warmOne(backend, here);
    await docker.getContainer(warm.name).kill();
    const desired = here.desired('alice', plain);
    assert.equal(await backend.claim(warm, desired, never), null);
    assert.equal(await backend.inspect(desired.key, never), undefined);
    const cold = await backend.create(desired, quiet, never);
    assert.notEqual(cold.apiKey, warm.apiKey);
  });

  test('behaves as any other from then on: limits in place, stop, start, removal', async (t) => {
    const { place: here, backend } = await place(t);
    const desired = here.desired('alice', plain);
    await claimed(backend, here, desired);
    const changed = { ...desired, limits: { ...desired.limits, pids: 77 } };
    assert.equal((await backend.update(changed, never)).limits?.pids, 77);
    await backend.stop(desired.key, never);
    assert.equal((await backend.inspect(desired.key, never))?.phase, 'Idle');
    assert.equal((await backend.start(desired, quiet, never)).phase, 'Running');
    await backend.remove(desired.key, { files: true }, never);
    assert.deepEqual(await mine(backend, here), []);
  });

  test('its events are told as those of whose it is', async (t) => {
    const { place: here, backend } = await place(t);
    const told = await watch(t, backend, here.key(hashed));
    const { terminal } = await claimed(backend, here, here.desired(hashed, plain));
    await told.phase('Running');
    await docker.getContainer(terminal.name).kill();
    await told.phase('Idle');
    await removeContainer(terminal.name);
    await told.phase('gone');
  });
});

describe('whose a container is that was claimed', { skip: await withoutDocker() }, () => {
  test('is read from its name after a restart, or from the file where that has a hash', async (t) => {
    const { place: here, backend } = await place(t);
    await claimed(backend, here, here.desired('alice', plain));
    const chat = here.desired('alice', plain, 'chat:1');
    await claimed(backend, here, chat);
    const { terminal } = await claimed(backend, here, here.desired(hashed, plain));
    const listed = await here.backend().list(never);
    const own = listed.filter(({ key }) => key.policy === here.policy);
    assert.deepEqual(own.map(({ key }) => `${key.user}/${key.context}`).sort(), [
      'Alice <alice@example.org>/null',
      'alice/chat:1',
      'alice/null',
    ]);
    const again = own.find(({ name }) => name === terminal.name);
    assert.ok(again?.phase === 'Running');
    assert.equal(again.apiKey, terminal.apiKey);
  });

  test('is not known where the file is lost: nobody gets it, it runs on, and its user finds it again', async (t) => {
    const { place: here, backend } = await place(t);
    const desired = here.desired(hashed, plain);
    const { terminal } = await claimed(backend, here, desired);
    await execute(terminal, 'echo mine > /home/user/note');
    await backend.close();
    await rm(claimsFile(here));

    const next = here.backend();
    assert.deepEqual(await mine(next, here), []);
    const found = await next.inspect(desired.key, never);
    assert.ok(found?.phase === 'Provisioning' || found?.phase === 'Running');
    const started = await next.start(desired, quiet, never);
    assert.equal(started.apiKey, terminal.apiKey);
    assert.equal(await execute(started, 'cat /home/user/note'), 'mine');
    assert.deepEqual(await mine(next, here), [desired.key]);
    await next.close();
    assert.deepEqual(await mine(here.backend(), here), [desired.key], 'it is known again after a restart');
  });

  test('is never what the file says, where the name does not bear it out', async (t) => {
    const { place: here, backend } = await place(t);
    const { terminal } = await claimed(backend, here, here.desired(hashed, plain));
    await backend.close();
    const forged = {
      [terminal.name]: here.key('mallory'),
      [terminalName(here.key('mallory'))]: here.key(hashed),
    };
    await writeFile(claimsFile(here), JSON.stringify(forged));
    assert.deepEqual(await mine(here.backend(), here), []);
  });

  test("is noted before the container has the name, so that a crash in between leaves it nobody's", async (t) => {
    const { place: here, backend } = await place(t);
    const warm = await warmOne(backend, here);
    const cut = new AbortController();
    const claiming = backend.claim(warm, here.desired(hashed, plain), cut.signal);
    cut.abort(new Error('killed'));
    await assert.rejects(claiming);
    // Whichever of the two the engine heard, whose it is is clear.
    const next = here.backend();
    const [only, ...others] = await mine(next, here);
    assert.deepEqual(others, []);
    assert.ok(only && (isNobody(only.user) || only.user === hashed), JSON.stringify(only));
  });

  test('is forgotten once its container is gone', async (t) => {
    const { place: here, backend } = await place(t);
    const { terminal } = await claimed(backend, here, here.desired(hashed, plain));
    assert.match(await readFile(claimsFile(here), 'utf8'), /alice@example/);
    await removeContainer(terminal.name);
    await backend.list(never);
    await until(async () => !(await readFile(claimsFile(here), 'utf8')).includes('alice@example'), 2_000);
  });

  test("one of a policy is not claimed for another policy's user by a name alike", async (t) => {
    const { place: here, backend } = await place(t);
    const warm = await warmOne(backend, here);
    // By hand, as only the engine's administrator can.
    const other = { ...here.key('alice'), policy: `${here.policy}-other` as TerminalKey['policy'] };
    await docker.getContainer(warm.name).rename({ name: terminalName(other) });
    assert.equal(await backend.inspect(other, never), undefined);
    assert.deepEqual(await mine(backend, here), []);
  });
});
