import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { temporaryDirectory, until } from './fixtures.ts';
import { watched, writePolicy } from './watching.ts';

/** A directory with the policy `a` of image a:1 in a.yaml. */
function withPolicy(): { root: string; file: string } {
  const root = temporaryDirectory();
  const file = path.join(root, 'a.yaml');
  writePolicy(file, 'a', 'a:1');
  return { root, file };
}

describe('a file is followed', { concurrency: true }, () => {
  test('when it is written in place', async () => {
    const { root, file } = withPolicy();
    const { untilImage, changes } = await watched(root);
    writePolicy(file, 'a', 'a:2');
    await untilImage('a', 'a:2');
    assert.equal(changes.length, 1);
  });

  test('when it is saved as editors do, by a rename over it, again and again', async () => {
    const { root, file } = withPolicy();
    const { untilImage, changes } = await watched(root);
    for (const image of ['a:2', 'a:3', 'a:4']) {
      writePolicy(`${file}.swp`, 'a', image);
      renameSync(`${file}.swp`, file);
      await untilImage('a', image);
    }
    assert.ok(
      changes.every(({ policies }) => policies.size === 2),
      'the policy was never away',
    );
  });

  test('when it is saved by moving the old one away first', async () => {
    const { root, file } = withPolicy();
    const { untilImage, changes } = await watched(root);
    renameSync(file, `${file}~`);
    writePolicy(file, 'a', 'a:2');
    await untilImage('a', 'a:2');
    assert.equal(changes.length, 1);
  });

  test('when it is added, renamed and removed', async () => {
    const { root, file } = withPolicy();
    const { untilImage } = await watched(root);
    writePolicy(path.join(root, 'b.yml'), 'b', 'b:1');
    await untilImage('b', 'b:1');
    renameSync(path.join(root, 'b.yml'), path.join(root, 'c.txt'));
    await untilImage('b', undefined);
    rmSync(file);
    await untilImage('a', undefined);
  });

  test('when its folder appears later, below another one', async () => {
    const { root } = withPolicy();
    const { untilImage } = await watched(root);
    const folder = path.join(root, 'teams', 'data');
    mkdirSync(folder, { recursive: true });
    writePolicy(path.join(folder, 'b.yaml'), 'b', 'b:1');
    await untilImage('b', 'b:1');
    writePolicy(path.join(folder, 'b.yaml'), 'b', 'b:2');
    await untilImage('b', 'b:2');
    rmSync(path.join(root, 'teams'), { recursive: true });
    await untilImage('b', undefined);
  });

  test('when it is broken, and its last good version stays until it is mended', async () => {
    const { root, file } = withPolicy();
    const { store, image, untilImage, changes } = await watched(root);
    writeFileSync(file, 'apiVersion: [');
    await until('a problem is there', () => store.current.problems.length === 1);
    assert.equal(image('a'), 'a:1');
    assert.equal(changes.length, 0);
    writePolicy(file, 'a', 'a:2');
    await untilImage('a', 'a:2');
    assert.deepEqual(store.current.problems, []);
  });

  test('when it becomes a link that leads nowhere, and its last good version stays', async () => {
    const { root, file } = withPolicy();
    const { store, image, untilImage, changes } = await watched(root);
    rmSync(file);
    symlinkSync('elsewhere', file);
    await until('a problem is there', () => store.current.problems.length === 1);
    assert.equal(image('a'), 'a:1');
    assert.equal(changes.length, 0);
    writePolicy(path.join(root, 'elsewhere'), 'a', 'a:2');
    await untilImage('a', 'a:2');
  });

  test('when it becomes binary, and its last good version stays', async () => {
    const { root, file } = withPolicy();
    const { store, image } = await watched(root);
    writeFileSync(file, Buffer.from([0xff, 0xfe, 0x00]));
    await until('a problem is there', () => store.current.problems.length === 1);
    assert.match(String(store.current.problems[0]?.message), /binary/);
    assert.equal(image('a'), 'a:1');
  });

  test('but a comment is no change', async () => {
    const { root, file } = withPolicy();
    const { store, changes, untilImage } = await watched(root);
    writeFileSync(path.join(root, 'z.yaml'), 'x: [');
    appendFileSync(file, '# a comment\n');
    await until('it was read again', () => store.current.problems.length > 0);
    assert.equal(changes.length, 0);
    writePolicy(file, 'a', 'a:2');
    await untilImage('a', 'a:2');
  });
});

describe('the directory itself', { concurrency: true }, () => {
  test('may appear later', async () => {
    const root = path.join(temporaryDirectory(), 'policies');
    const { store, image, untilImage } = await watched(root);
    assert.match(String(store.current.problems[0]?.message), /it does not exist/);
    mkdirSync(root);
    writePolicy(path.join(root, 'a.yaml'), 'a', 'a:1');
    await untilImage('a', 'a:1');
    assert.equal(image('a'), 'a:1');
    assert.deepEqual(store.current.problems, []);
  });

  test('deleted changes nothing, and restored it is followed again', async () => {
    const { root, file } = withPolicy();
    const { store, image, untilImage, changes } = await watched(root);
    rmSync(root, { recursive: true });
    await until('a problem is there', () => store.current.problems.length === 1);
    assert.equal(image('a'), 'a:1');
    assert.equal(changes.length, 0);
    mkdirSync(root);
    writePolicy(file, 'a', 'a:2');
    await untilImage('a', 'a:2');
    writePolicy(file, 'a', 'a:3');
    await untilImage('a', 'a:3');
  });

  test('may be swapped for another one', async () => {
    const base = temporaryDirectory();
    for (const version of ['1', '2']) {
      mkdirSync(path.join(base, version));
      writePolicy(path.join(base, version, 'a.yaml'), 'a', `a:${version}`);
    }
    symlinkSync('1', path.join(base, 'policies'));
    const { untilImage } = await watched(path.join(base, 'policies'));
    symlinkSync('2', path.join(base, 'next'));
    renameSync(path.join(base, 'next'), path.join(base, 'policies'));
    await untilImage('a', 'a:2');
  });
});
