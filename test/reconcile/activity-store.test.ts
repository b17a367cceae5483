import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { ActivityStore, saveIntervalMs } from '../../src/reconcile/activity-store.ts';
import type { TerminalName } from '../../src/terminal/terminal.ts';
import { capturedLog, temporaryFolder } from './harness.ts';

const alice = 'terminals-default-alice' as TerminalName;
const bob = 'terminals-default-bob' as TerminalName;
const hour = 3_600_000;

async function store() {
  const dataDir = await temporaryFolder();
  const { log, lines } = await capturedLog();
  const file = path.join(dataDir, '.terminals', 'activity.json');
  return { dataDir, file, lines, store: () => new ActivityStore(dataDir, log) };
}

test('last activity survives a restart', async () => {
  const { store: make } = await store();
  const now = Date.now();
  await make().save(
    new Map([
      [alice, now - hour],
      [bob, now - 2 * hour],
    ]),
    now,
  );
  const saved = await make().load(now + hour);
  assert.equal(saved.lastActivityAt(alice), now - hour);
  assert.equal(saved.lastActivityAt(bob), now - 2 * hour);
});

test('one in use shortly before the last saving counts as in use now: what came after it is not known', async () => {
  const { store: make } = await store();
  const now = Date.now();
  await make().save(new Map([[alice, now - saveIntervalMs / 2]]), now);
  const saved = await make().load(now + hour);
  assert.equal(saved.lastActivityAt(alice), now + hour);
});

test('saving without a change still says when it was last known', async () => {
  const { store: make } = await store();
  const now = Date.now();
  const same = new Map([[alice, now]]);
  const writer = make();
  await writer.save(same, now);
  await writer.save(same, now + hour);
  const saved = await make().load(now + 2 * hour);
  assert.equal(saved.lastActivityAt(alice), now);
});

test('a time in the future (a clock set back) counts as now, so that the terminal is stopped some day', async () => {
  const { store: make } = await store();
  const now = Date.now();
  await make().save(new Map([[alice, now + 1000 * hour]]), now);
  assert.equal((await make().load(now)).lastActivityAt(alice), now);
});

test('nothing is known of a terminal that was not saved, nor before the first saving', async () => {
  const { store: make, lines } = await store();
  const before = await make().load(Date.now());
  assert.equal(before.lastActivityAt(alice), null);
  await make().save(new Map([[alice, 1]]), Date.now());
  const after = await make().load(Date.now());
  for (const name of [bob, 'constructor', '__proto__']) {
    assert.equal(after.lastActivityAt(name as TerminalName), null);
  }
  assert.deepEqual(lines, []);
});

for (const broken of ['', '{', 'null', '[]', '17', '"x"', '\u0000\u0000', `{"${alice}":`]) {
  test(`a broken file (${JSON.stringify(broken)}) is said in the log, forgotten, and written anew`, async () => {
    const { store: make, file, lines } = await store();
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, broken);
    const reader = make();
    const saved = await reader.load(Date.now());
    assert.equal(saved.lastActivityAt(alice), null);
    assert.deepEqual(
      lines.map(({ level, file: where }) => [level, where]),
      [['warn', file]],
    );
    const now = Date.now();
    await reader.save(new Map([[alice, now - hour]]), now);
    assert.equal((await make().load(now)).lastActivityAt(alice), now - hour);
  });
}

test('a value that is no number is as if it was not there', async () => {
  const { store: make, file } = await store();
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, JSON.stringify({ [alice]: 'yesterday', [bob]: 5 }));
  const saved = await make().load(Date.now());
  assert.equal(saved.lastActivityAt(alice), null);
  assert.equal(saved.lastActivityAt(bob), 5);
});

test('it is written aside and moved into place: a half-written one never takes its place, and no other can read it', async () => {
  const { store: make, file } = await store();
  const writer = make();
  await writer.save(new Map([[alice, 1]]), Date.now());
  const before = await stat(file);
  await writer.save(new Map([[alice, 2]]), Date.now());
  const after = await stat(file);
  assert.notEqual(after.ino, before.ino);
  assert.equal(after.mode & 0o777, 0o600);
  assert.deepEqual(await readdir(path.dirname(file)), ['activity.json']);
  assert.deepEqual(JSON.parse(await readFile(file, 'utf8')), { [alice]: 2 });
});

test('what a crash left half-written aside does no harm', async () => {
  const { store: make, file } = await store();
  const now = Date.now();
  await make().save(new Map([[alice, now - hour]]), now);
  await writeFile(`${file}.new`, '{"half');
  assert.equal((await make().load(now)).lastActivityAt(alice), now - hour);
  await make().save(new Map([[alice, now]]), now);
  assert.deepEqual(await readdir(path.dirname(file)), ['activity.json']);
});

test('a disk that takes no file costs a line in the log, and the next saving works again', async () => {
  const { dataDir, store: make, file, lines } = await store();
  // A file where the folder should be: fails for root as well.
  const blocker = path.join(dataDir, '.terminals');
  await writeFile(blocker, '');
  const writer = make();
  await writer.save(new Map([[alice, 1]]), Date.now());
  assert.deepEqual(
    lines.map(({ level }) => level),
    ['warn'],
  );
  await rm(blocker);
  await writer.save(new Map([[alice, 1]]), Date.now());
  assert.deepEqual(JSON.parse(await readFile(file, 'utf8')), { [alice]: 1 });
});
