import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkMeaning } from '../../src/policy/check.ts';
import { mountTargetProblem } from '../../src/policy/mount-target.ts';
import { specOf } from './documents.ts';
import { rulesWith } from './fixtures.ts';

function said(...targets: readonly string[]): readonly string[] {
  const mounts = targets.map((target) => ({ source: '/srv', target }));
  return checkMeaning({ metadata: { name: 'a' }, spec: specOf({ mounts }) }, rulesWith()).findings.map(
    ({ severity, path, message, hint }) => `${severity}: ${path.join('.')}: ${message} (${hint})`,
  );
}

describe('a mount', () => {
  for (const target of [
    '/mnt/datasets',
    '/home/other',
    '/home/user2',
    '/srv/home/user',
    '/opt/a..b',
    '/mnt/',
  ]) {
    test(`may be at ${target}`, () => assert.deepEqual(said(target), []));
  }

  for (const target of ['/home/user', '/home/user/', '/home//user', '/home/user/.ssh', '/home', '/home/']) {
    test(`at ${target} would hide the home`, () => {
      assert.deepEqual(said(target), [
        `error: spec.mounts.0.target: "${target}" would hide the home, /home/user (write a path such as /mnt/datasets)`,
      ]);
    });
  }

  for (const target of ['/mnt/../home/user', '/mnt/.', '/..', '/./home']) {
    test(`at ${target} is refused for its dots`, () => {
      assert.equal(mountTargetProblem(target), `"${target}" has . or .. in it`);
    });
  }

  test('is not the root directory, however it is written', () => {
    for (const target of ['/', '//', '///']) {
      assert.equal(mountTargetProblem(target), "the root directory can't be a mount");
    }
  });

  test('has a target of its own', () => {
    assert.deepEqual(said('/a', '/b', '/a'), [
      'error: spec.mounts.2.target: "/a" is mounted twice (give each mount a target of its own)',
    ]);
  });

  test('has the same target as another one with other slashes', () => {
    assert.equal(said('/mnt/a', '/mnt//a/').length, 1);
  });
});
