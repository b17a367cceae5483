import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bakingPrefix } from '../../../src/backend/docker/recipe.ts';
import { StartFailedError, StartTimeoutError } from '../../../src/errors.ts';
import { withoutDocker } from '../../engines.ts';
import {
  bakeryFor,
  bakingContainers,
  deafIndex,
  installVariables,
  isBaked,
  logged,
  recipeFor,
} from './baked.ts';
import { docker, execute, never, openTerminal, quiet, removeContainer, until } from './engine.ts';

const crashing = fileURLToPath(new URL('./bake-until-killed.ts', import.meta.url));

describe('packages that can not be put into an image', { skip: await withoutDocker() }, () => {
  test('are installed at the start, which is said, and the image is made when that is possible', async (t) => {
    const place = await bakeryFor(t);
    const { lines, log } = logged();
    const backend = place.backend({ log, baking: { retryMs: 0 } });
    const alice = place.withPackages('alice', { pipPackages: ['six'] });
    // Somebody else's container has the name of the one that would bake.
    const name = `${bakingPrefix}${(await recipeFor(alice.workload)).hash}`;
    const foreign = await docker.createContainer({ Image: openTerminal, name });
    t.after(() => removeContainer(foreign.id));

    const first = await backend.create(alice, quiet, never);
    assert.deepEqual(await installVariables(first.name), ['OPEN_TERMINAL_PIP_PACKAGES=six']);
    assert.equal(await execute(first, 'python3 -c "import six; print(1)"'), '1');
    assert.match(backend.trouble(alice.workload) ?? '', /every start installs them: .*already in use/);
    assert.match(lines.join(''), /every start installs them/);
    assert.equal((await foreign.inspect()).State.Status, 'created', 'somebody else’s container was touched');

    await foreign.remove();
    const bob = place.withPackages('bob', { pipPackages: ['six'] });
    const second = await backend.create(bob, quiet, never);
    assert.equal(
      (await installVariables(second.name)).length,
      1,
      'it waited though the last bake had failed',
    );
    await until(() => backend.trouble(alice.workload) === null, 60_000);
    assert.ok(await isBaked(alice.workload));
    const third = await backend.create(place.withPackages('carol', { pipPackages: ['six'] }), quiet, never);
    assert.deepEqual(await installVariables(third.name), []);
  });

  test('because there is no such package are told in the words of pip, and are not tried again at once', async (t) => {
    const place = await bakeryFor(t);
    const { lines, log } = logged();
    const backend = place.backend({ log });
    const desired = place.withPackages('alice', { pipPackages: ['six==0.0.0.1'] });
    await backend.prepare(desired.workload, quiet, never);
    assert.match(
      backend.trouble(desired.workload) ?? '',
      /No matching distribution found for six==0\.0\.0\.1/,
    );
    assert.deepEqual(await bakingContainers(desired.workload), []);
    assert.ok(!(await isBaked(desired.workload)));

    const told: string[] = [];
    await backend.prepare(desired.workload, (detail) => void told.push(detail), never);
    assert.deepEqual(told, [], 'it was tried again at once');
    assert.equal(lines.filter((line) => line.includes('every start installs them')).length, 1);
    await assert.rejects(backend.create(desired, quiet, never), StartFailedError);

    const changed = place.withPackages('alice', { pipPackages: ['six'] });
    await backend.prepare(changed.workload, quiet, never);
    assert.ok(await isBaked(changed.workload), 'a changed policy was not tried');
    assert.equal(backend.trouble(changed.workload), null);
  });

  test('because there is no such Debian package are told in the words of apt', async (t) => {
    const place = await bakeryFor(t);
    const backend = place.backend();
    const { workload } = place.withPackages('alice', { packages: ['no-such-package'] });
    await backend.prepare(workload, quiet, never);
    assert.match(backend.trouble(workload) ?? '', /Unable to locate package no-such-package/);
  });

  test('within the start time limit are waited for no longer than that, and at the end nothing is left', async (t) => {
    const place = await bakeryFor(t);
    const backend = place.backend();
    const desired = place.withPackages('alice', {
      pipPackages: ['six'],
      env: deafIndex,
      startTimeoutSeconds: 2,
    });
    await assert.rejects(
      backend.create(desired, quiet, never),
      (error: unknown) => error instanceof StartTimeoutError && /after 2 seconds/.test(error.message),
    );
    // It goes on, and may only begin after those two seconds.
    await until(async () => (await bakingContainers(desired.workload)).length === 1, 30_000);
    await backend.close();
    assert.deepEqual(await bakingContainers(desired.workload), []);
    assert.ok(!(await isBaked(desired.workload)));
  });

  test('because Terminals is killed in the middle leave no image, and a container that goes at the next start', async (t) => {
    const place = await bakeryFor(t);
    const slow = place.withPackages('alice', { pipPackages: ['six'], env: deafIndex });
    const child = spawn(process.execPath, [crashing, JSON.stringify(slow.workload)], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    const ended = once(child, 'exit');
    const runs = async () => {
      const [name] = await bakingContainers(slow.workload);
      if (name === undefined) return false;
      // It is listed a moment before it can be asked for.
      const container = docker.getContainer(name.slice(1));
      return container.inspect().then(
        ({ State }) => State.Running,
        () => false,
      );
    };
    await until(runs, 30_000);
    child.kill('SIGKILL');
    await ended;
    assert.equal((await bakingContainers(slow.workload)).length, 1);
    assert.ok(!(await isBaked(slow.workload)));

    const backend = place.backend();
    await backend.collect([slow.workload], never);
    assert.deepEqual(await bakingContainers(slow.workload), []);
  });

  test('because Terminals was killed in the middle are baked at the next start, though the container is there', async (t) => {
    const place = await bakeryFor(t);
    const { workload } = place.withPackages('alice', { pipPackages: ['six'] });
    await docker.createContainer({
      Image: openTerminal,
      name: `${bakingPrefix}${(await recipeFor(workload)).hash}`,
      Labels: { 'app.kubernetes.io/managed-by': 'terminals' },
    });
    const backend = place.backend();
    await backend.prepare(workload, quiet, never);
    assert.ok(await isBaked(workload), backend.trouble(workload) ?? '');
    assert.deepEqual(await bakingContainers(workload), []);
  });
});
