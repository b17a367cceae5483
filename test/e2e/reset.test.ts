/** Homes are emptied by the schedule of their policy, by the whole program: on real processes and real containers. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { dataDirectory } from '../backend/process/open-terminal.ts';
import { withoutDocker } from '../engines.ts';
import { makePlace } from './place.ts';
import { asUser, command, removeFolder, serve, temporaryFolder, waitFor } from './program.ts';

const evil = `mkdir -p .config/git work && echo g > .config/git/config && echo w > work/file && echo n > note
ln -s /etc etc; ln -s /etc/passwd cache; ln -s / .config/slash; sudo -n mkdir -p of-root/deep 2> /dev/null; echo made`;
const look =
  'cat .config/git/config; ls -d work note etc cache .config/slash of-root 2> /dev/null || echo nothing else';

/** A moment in so many seconds, as a policy names it. */
function inSeconds(seconds: number): string {
  return `${new Date(Date.now() + seconds * 1_000).toISOString().slice(0, 19)}Z`;
}

async function resetOnce(t: TestContext, backend: string, dataDir: string): Promise<void> {
  const place = await makePlace(backend, { TERMINALS_DATA_DIR: dataDir });
  const audit = path.join(place.folder, 'audit.log');
  const variables = { ...place.variables, TERMINALS_AUDIT_LOG: audit };
  const declare = (spec: string) => place.declare('team', spec);
  await declare('{}');
  const resets = async () => {
    const lines = (await readFile(audit, 'utf8')).trim().split('\n');
    return lines.map((line) => JSON.parse(line)).filter(({ event }) => event === 'reset');
  };
  const stopAll = async () => {
    const { code, err } = await command(['stop', '--all'], variables);
    assert.equal(code, 0, err);
  };
  let program = await serve(variables);
  t.after(async () => {
    await program.stop();
    await place.clear();
  });
  for (const user of ['alice', 'bob'])
    assert.equal(await asUser(program, user, 'team').execute(evil), 'made');
  await stopAll();
  // Alice works again; Bob's stays stopped.
  await asUser(program, 'alice', 'team').execute('true');

  const schedule = inSeconds(4);
  const reset = `reset: {schedule: "${schedule}", keep: [.config/git, cache/models]}`;
  await declare(`{rollout: {idleAfterMinutes: 0.02}, ${reset}}`);
  await waitFor(async () => ((await resets()).length === 2 ? true : undefined), 30_000, program.log);
  const lines = await resets();
  assert.deepEqual(lines.map(({ user }) => user).sort(), ['alice', 'bob']);
  for (const { time, policy, reason } of lines) {
    assert.equal(policy, 'team');
    assert.ok(String(reason).includes(schedule), reason);
    assert.ok(Date.parse(time) >= Date.parse(schedule));
  }
  for (const user of ['alice', 'bob'])
    assert.equal(await asUser(program, user, 'team').execute(`${look}; echo new > note`), 'g\nnothing else');

  // What is new since then is no matter of that moment, also not after a restart.
  await program.kill();
  program = await serve(variables);
  await stopAll();
  for (const user of ['alice', 'bob'])
    assert.equal(await asUser(program, user, 'team').execute('cat note'), 'new');
  assert.equal((await resets()).length, 2);

  // One that is missed while Terminals is down is made up for by its next start.
  const missed = inSeconds(4);
  await declare(`{rollout: {idleAfterMinutes: 0.02}, reset: {schedule: "${missed}"}}`);
  const saved = path.join(dataDir, '.terminals', 'resets.json');
  await waitFor(async () => (await readFile(saved, 'utf8')).includes(missed) || undefined, 10_000);
  await program.kill();
  await waitFor(() => Date.now() > Date.parse(missed) || undefined, 10_000);
  assert.equal((await resets()).length, 2);
  program = await serve(variables);
  await waitFor(async () => ((await resets()).length === 4 ? true : undefined), 30_000, program.log);
  assert.match(await asUser(program, 'bob', 'team').execute('ls -d note .config/git 2>&1'), /No such file/);
}

test('on processes', async (t) => resetOnce(t, 'process', await dataDirectory(t)));

describe('on Docker', { skip: await withoutDocker() }, () => {
  test('too', async (t) => {
    const folder = await temporaryFolder();
    try {
      await resetOnce(t, 'docker', path.join(folder, 'data'));
    } finally {
      // Hooks run in the order of their making: after the one that ends the program.
      t.after(() => removeFolder(folder));
    }
  });
});
