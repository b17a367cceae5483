import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { withoutDocker } from '../../engines.ts';
import { bakeryFor, isBaked, recipeFor } from './baked.ts';
import { docker, never, quiet } from './engine.ts';

describe('images with packages that no policy needs', { skip: await withoutDocker() }, () => {
  test('are removed when their time is over; those of policies and of containers stay', async (t) => {
    const place = await bakeryFor(t);
    const backend = place.backend({ baking: { keepUnusedMs: 0 } });
    const needed = place.withPackages('alice', { pipPackages: ['six'] }).workload;
    const used = place.withPackages('bob', { pipPackages: ['toml'] });
    const unused = place.withPackages('carol', { pipPackages: ['idna'] }).workload;
    const sibling = place.withPackages('dave', { pipPackages: ['wcwidth'] }).workload;
    for (const workload of [needed, unused, sibling]) await backend.prepare(workload, quiet, never);
    const bob = await backend.create(used, quiet, never);
    await backend.stop(bob.key, never);

    // Somebody made an image of their own from one of ours: it has its labels.
    const own = `terminals-test-${randomBytes(4).toString('hex')}`;
    const { tag, hash } = await recipeFor(sibling);
    const container = await docker.createContainer({ Image: tag });
    await container.commit({ repo: own, tag: hash });
    await container.remove();

    await place.backend().collect([needed], never);
    assert.ok(await isBaked(unused), 'it was removed at once, whoever takes the change back');

    await backend.collect([needed], never);
    assert.deepEqual(await Promise.all([needed, used.workload, unused, sibling].map(isBaked)), [
      true,
      true,
      false,
      false,
    ]);
    assert.ok((await docker.getImage(`${own}:${hash}`).inspect()).Id, 'somebody else’s image was removed');

    await backend.remove(bob.key, { files: false }, never);
    await backend.collect([needed], never);
    assert.deepEqual(await Promise.all([needed, used.workload].map(isBaked)), [true, false]);
  });

  test('are made again when a policy needs them again', async (t) => {
    const place = await bakeryFor(t);
    const backend = place.backend({ baking: { keepUnusedMs: 0 } });
    const { workload } = place.withPackages('alice', { pipPackages: ['six'] });
    await backend.prepare(workload, quiet, never);
    await backend.collect([], never);
    assert.ok(!(await isBaked(workload)));
    await backend.prepare(workload, quiet, never);
    assert.ok(await isBaked(workload));
  });

  test('stay while the image of a policy, from which they were made, is not there', async (t) => {
    const place = await bakeryFor(t);
    const backend = place.backend({ baking: { keepUnusedMs: 0 } });
    const repo = `terminals-test-${randomBytes(4).toString('hex')}`;
    const image = `${repo}:latest`;
    const { workload } = place.withPackages('alice', { image, pipPackages: ['six'] });
    await docker.getImage(place.desired('alice').workload.image).tag({ repo, tag: 'latest' });
    await backend.prepare(workload, quiet, never);
    const { tag } = await recipeFor(workload);
    await docker.getImage(image).remove();
    await backend.collect([workload], never);
    assert.ok((await docker.getImage(tag).inspect()).Id);
    await backend.collect([], never);
    await assert.rejects(docker.getImage(tag).inspect(), /no such image/i);
  });
});
