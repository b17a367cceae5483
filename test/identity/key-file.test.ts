import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { watchKeyFile } from '../../src/identity/key-file.ts';

async function directory(t: TestContext): Promise<string> {
  const made = await mkdtemp(path.join(tmpdir(), 'keys-'));
  t.after(() => rm(made, { recursive: true }));
  return made;
}

function watched(t: TestContext, file: string) {
  const told: string[] = [];
  const warnings: unknown[] = [];
  const stop = new AbortController();
  t.after(() => stop.abort());
  watchKeyFile({
    file,
    changed: (keys) => told.push(keys.join('+')),
    log: { info: () => undefined, warn: (fields: unknown) => void warnings.push(fields) },
    signal: stop.signal,
    intervalMs: 50,
  });
  return { told, warnings, stop };
}

async function until(holds: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 10_000; Date.now() < end; await wait(20)) if (holds()) return;
  assert.fail(`not in time: ${what}`);
}

test('the keys are told at the start, and whenever the file is written again', async (t) => {
  const file = path.join(await directory(t), 'key');
  await writeFile(file, 'one\n');
  const { told } = watched(t, file);
  await until(() => told.length === 1, 'first keys');
  await writeFile(file, 'one\ntwo\n');
  await until(() => told.length === 2, 'second keys');
  assert.deepEqual(told, ['one', 'one+two']);
});

test('a file replaced by renaming another over it is read again', async (t) => {
  const folder = await directory(t);
  const file = path.join(folder, 'key');
  await writeFile(file, 'one');
  const { told } = watched(t, file);
  await until(() => told.length === 1, 'first key');
  await writeFile(`${file}.new`, 'two');
  await rename(`${file}.new`, file);
  await until(() => told.at(-1) === 'two', 'second key');
});

test('a mounted Secret that is swapped by its symlink is read again', async (t) => {
  const folder = await directory(t);
  for (const [version, key] of [
    ['..v1', 'one'],
    ['..v2', 'two'],
  ] as const) {
    await mkdir(path.join(folder, version));
    await writeFile(path.join(folder, version, 'key'), key);
  }
  await symlink('..v1', path.join(folder, '..data'));
  await symlink('..data/key', path.join(folder, 'key'));
  const { told } = watched(t, path.join(folder, 'key'));
  await until(() => told.length === 1, 'first key');
  await symlink('..v2', path.join(folder, '..data_tmp'));
  await rename(path.join(folder, '..data_tmp'), path.join(folder, '..data'));
  await until(() => told.at(-1) === 'two', 'second key');
});

test('a file that is emptied or gone changes nothing until it has keys again', async (t) => {
  const file = path.join(await directory(t), 'key');
  await writeFile(file, 'one');
  const { told, warnings } = watched(t, file);
  await until(() => told.length === 1, 'first key');
  await writeFile(file, '');
  await until(() => warnings.length === 1, 'a warning that it is empty');
  await rm(file);
  await until(() => warnings.length === 2, 'a warning that it is gone');
  await writeFile(file, 'two');
  await until(() => told.length === 2, 'second key');
  assert.deepEqual(told, ['one', 'two']);
});

test('no key stands in a warning', async (t) => {
  const file = path.join(await directory(t), 'key');
  await writeFile(file, 'the-secret');
  const { told, warnings } = watched(t, file);
  await until(() => told.length === 1, 'first key');
  await rm(file);
  await until(() => warnings.length === 1, 'a warning');
  assert.ok(!JSON.stringify(warnings).includes('the-secret'));
});
