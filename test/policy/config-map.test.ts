import assert from 'node:assert/strict';
import { mkdirSync, renameSync, rmSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from './fixtures.ts';
import { watched, writePolicy } from './watching.ts';

/**
 * Writes a ConfigMap into its mount as the kubelet does: a new hidden directory, `..data` renamed over the old link in one
 * step, then the links of the keys, and what is old removed.
 */
function mountConfigMap(
  mount: string,
  version: number,
  keys: readonly string[],
  old: readonly string[] = [],
): void {
  const data = `..2024_01_01_00_00_0${version}.1`;
  mkdirSync(path.join(mount, data));
  for (const key of keys) writePolicy(path.join(mount, data, `${key}.yaml`), key, `image:${version}`);
  symlinkSync(data, path.join(mount, '..data_tmp'));
  renameSync(path.join(mount, '..data_tmp'), path.join(mount, '..data'));
  for (const key of keys.filter((one) => !old.includes(one))) {
    symlinkSync(path.join('..data', `${key}.yaml`), path.join(mount, `${key}.yaml`));
  }
  for (const key of old.filter((one) => !keys.includes(one))) rmSync(path.join(mount, `${key}.yaml`));
  if (version > 1) rmSync(path.join(mount, `..2024_01_01_00_00_0${version - 1}.1`), { recursive: true });
}

test('a mounted ConfigMap is followed through its swaps, each of which makes one new policy set', async () => {
  const mount = temporaryDirectory();
  mountConfigMap(mount, 1, ['a', 'b']);
  const { store, changes, image, untilImage } = await watched(mount);
  assert.deepEqual([...store.current.policies.keys()], ['a', 'b', 'default']);

  mountConfigMap(mount, 2, ['a', 'b'], ['a', 'b']);
  await untilImage('a', 'image:2');
  assert.equal(image('b'), 'image:2');
  assert.equal(changes.length, 1);

  mountConfigMap(mount, 3, ['b', 'c'], ['a', 'b']);
  await untilImage('c', 'image:3');
  assert.deepEqual([...store.current.policies.keys()], ['b', 'c', 'default']);
  assert.equal(image('b'), 'image:3');
  assert.equal(changes.length, 2);
  assert.deepEqual(store.current.problems, []);
});
