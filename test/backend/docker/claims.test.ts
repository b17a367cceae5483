/** What is kept of whose the terminals are that were made for nobody. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { Claims } from '../../../src/backend/docker/claims.ts';
import { labels, managedBy } from '../../../src/backend/docker/container.ts';
import { terminalName } from '../../../src/terminal/names.ts';
import { keyOf, temporaryFolder } from '../../reconcile/harness.ts';
import { silent } from './engine.ts';

const warmLabels = { [labels.managedBy]: managedBy, [labels.policy]: 'default', [labels.warm]: 'true' };
const hashed = (index: number) => keyOf(`User ${index}`);

test('many at once are all in the file when each of them hears that it is noted', async () => {
  const dataDir = await temporaryFolder();
  const claims = new Claims(dataDir, silent);
  const keys = Array.from({ length: 50 }, (_, index) => hashed(index));
  const noted = keys.map(async (key) => {
    assert.equal(await claims.begin(key), true);
    const text = await readFile(path.join(dataDir, '.terminals', 'claims.json'), 'utf8');
    assert.ok(text.includes(terminalName(key)), terminalName(key));
  });
  await Promise.all(noted);
  const next = new Claims(dataDir, silent);
  await next.load();
  for (const key of keys) assert.deepEqual(next.keyOf(warmLabels, terminalName(key)), key);
});

test('a key whose name can be read back needs no file', async () => {
  const dataDir = await temporaryFolder();
  const claims = new Claims(dataDir, silent);
  assert.equal(await claims.begin(keyOf('alice')), true);
  await assert.rejects(readFile(path.join(dataDir, '.terminals', 'claims.json')));
  assert.deepEqual(claims.keyOf(warmLabels, 'terminals-default-alice'), keyOf('alice'));
});

test('a disk that takes no file is said, so that nothing is claimed that would not be known', async () => {
  const dataDir = await temporaryFolder();
  await writeFile(path.join(dataDir, '.terminals'), 'no folder');
  const claims = new Claims(dataDir, silent);
  assert.equal(await claims.begin(hashed(1)), false);
});

test('a container that somebody made, or that has another policy, is never believed to be of who asks', async () => {
  const claims = new Claims(await temporaryFolder(), silent);
  const key = hashed(1);
  await claims.recognise({ ...warmLabels, [labels.policy]: 'other' }, key);
  await claims.recognise({}, key);
  assert.equal(claims.keyOf(warmLabels, terminalName(key)), null);
  assert.equal(claims.keyOf({}, terminalName(key)), null);
  await claims.recognise(warmLabels, key);
  assert.deepEqual(claims.keyOf(warmLabels, terminalName(key)), key);
});

test('one that is being claimed is not forgotten, though no container bears its name yet', async () => {
  const claims = new Claims(await temporaryFolder(), silent);
  await claims.begin(hashed(1));
  assert.deepEqual(claims.names, []);
  claims.settled(terminalName(hashed(1)));
  assert.deepEqual(claims.names, [terminalName(hashed(1))]);
  claims.forget(claims.names);
  await claims.saved();
  assert.equal(claims.keyOf(warmLabels, terminalName(hashed(1))), null);
});
