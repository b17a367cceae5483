import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { temporaryDirectory } from './fixtures.ts';
import { watched, writePolicy } from './watching.ts';

const count = 20;
const base = temporaryDirectory();
const origin = path.join(base, 'origin');
const checkout = path.join(base, 'checkout');

const execute = promisify(execFile);

/** Beside this process, so that it meets the files while they are written. */
async function git(cwd: string, ...args: readonly string[]): Promise<void> {
  const env = { ...process.env, GIT_CONFIG_GLOBAL: '/dev/null', GIT_CONFIG_NOSYSTEM: '1' };
  const identity = ['-c', 'user.name=A', '-c', 'user.email=a@example.org', '-c', 'commit.gpgsign=false'];
  const slow = ['-c', 'filter.slow.smudge=sleep 0.03; cat'];
  await execute('git', [...identity, ...slow, ...args], { cwd, env });
}

/** Commits a version of all policies, in two folders. */
async function commit(version: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    const folder = path.join(origin, 'policies', index % 2 === 0 ? 'even' : 'odd');
    mkdirSync(folder, { recursive: true });
    writePolicy(path.join(folder, `p${index}.yaml`), `p${index}`, `image:${version}`);
  }
  await git(origin, 'add', '.');
  await git(origin, 'commit', '--quiet', '-m', `version ${version}`);
}

test(`a git pull that rewrites ${count} files makes exactly one new policy set`, async () => {
  mkdirSync(origin);
  await git(origin, 'init', '--quiet', '--initial-branch=main');
  // Half way through it takes a moment, as with many more files.
  writeFileSync(path.join(origin, '.gitattributes'), 'policies/odd/p1.yaml filter=slow\n');
  await commit(1);
  await git(base, 'clone', '--quiet', origin, checkout);
  // On a busy machine a pull may rest between two files for longer than the usual quiet time.
  const { changes, store, untilImage } = await watched(path.join(checkout, 'policies'), 1_000);

  for (const version of [2, 3]) {
    await commit(version);
    await git(checkout, 'pull', '--quiet', '--ff-only');
    await untilImage(`p${count - 1}`, `image:${version}`);
    assert.equal(changes.length, version - 1);
    const images = [...store.current.policies.values()].filter(({ id }) => id !== 'default');
    assert.deepEqual(new Set(images.map(({ spec }) => spec.image)), new Set([`image:${version}`]));
    assert.equal(images.length, count);
  }
  // A set that came late would be counted here.
  writePolicy(path.join(checkout, 'policies', 'end.yaml'), 'end', 'end:1');
  await untilImage('end', 'end:1');
  assert.equal(changes.length, 3);
});
