import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import type { Policy, PolicySet } from '../../src/policy/policy.ts';
import { ResetStore } from '../../src/reconcile/reset-store.ts';
import { Resets } from '../../src/reconcile/resets.ts';
import type { TerminalName } from '../../src/terminal/terminal.ts';
import { capturedLog, policyOf, temporaryFolder } from './harness.ts';

const alice = 'terminals-default-alice' as TerminalName;
const bob = 'terminals-default-bob' as TerminalName;
const at = (text: string) => Date.parse(`2026-${text}Z`);
const daily = (schedule = '0 3 * * *') => policyOf({ reset: { schedule, timezone: 'UTC', keep: [] } });

function setOf(...policies: readonly Policy[]): PolicySet {
  return { revision: '', policies: new Map(policies.map((policy) => [policy.id, policy])), problems: [] };
}

/** Times and places that outlive a restart. */
async function world(now: number) {
  const dataDir = await temporaryFolder();
  const { log, lines } = await capturedLog();
  const clock = { now };
  const file = path.join(dataDir, '.terminals', 'resets.json');
  /** As after a start with these policies. */
  const start = async (...policies: readonly Policy[]) => {
    const store = new ResetStore(dataDir, log);
    const resets = new Resets({ store, supported: true, log, now: () => clock.now });
    await resets.load(setOf(...policies));
    return resets;
  };
  return { clock, file, lines, start, dataDir };
}

test('a terminal is due at the first moment after it was seen first', async () => {
  const { start, clock } = await world(at('01-10T12:00:00'));
  const policy = daily();
  const resets = await start(policy);
  assert.equal(resets.resetAt(policy, alice), at('01-11T03:00:00'));
  clock.now = at('01-13T12:00:00');
  assert.equal(resets.resetAt(policy, alice), at('01-11T03:00:00'), 'until it is done');
  assert.equal(resets.resetAt(policy, bob), at('01-14T03:00:00'), 'one made after that is not due');
});

test('what a proposed policy would do is foreseen without a trace', async () => {
  const { start, clock, file } = await world(at('01-10T12:00:00'));
  const policy = daily();
  const resets = await start(policy);
  resets.resetAt(policy, alice);
  await resets.saved();
  const before = await readFile(file, 'utf8');
  clock.now = at('01-11T12:00:00');
  assert.equal(resets.foresee(policy, alice), at('01-11T03:00:00'), 'still to be done');
  assert.equal(resets.foresee(policy, bob), at('01-12T03:00:00'));
  assert.equal(resets.foresee(daily('0 4 * * *'), alice), at('01-12T04:00:00'));
  assert.equal(resets.foresee(policyOf(), alice), null);
  await resets.saved();
  assert.equal(await readFile(file, 'utf8'), before);
  assert.equal(resets.resetAt(policy, alice), at('01-11T03:00:00'));
});

test('what was emptied is due at the next moment, not at those that were missed', async () => {
  const { start, clock } = await world(at('01-10T12:00:00'));
  const policy = daily();
  const resets = await start(policy);
  resets.resetAt(policy, alice);
  clock.now = at('01-13T12:00:00');
  await resets.emptied(policy.id, alice);
  assert.equal(resets.resetAt(policy, alice), at('01-14T03:00:00'));
});

test('a moment that was missed while nothing ran is made up for once, and only for those of before', async () => {
  const { start, clock } = await world(at('01-10T12:00:00'));
  const policy = daily();
  const before = await start(policy);
  before.resetAt(policy, alice);
  await before.saved();

  clock.now = at('01-20T12:00:00');
  const after = await start(policy);
  assert.equal(after.resetAt(policy, alice), at('01-11T03:00:00'));
  assert.equal(after.resetAt(policy, bob), at('01-21T03:00:00'));
  await after.emptied(policy.id, alice);

  clock.now += 1;
  const again = await start(policy);
  assert.equal(again.resetAt(policy, alice), at('01-21T03:00:00'));
});

test('a date and time happens once', async () => {
  const { start, clock } = await world(at('01-10T12:00:00'));
  const policy = daily('2026-01-12T03:00:00');
  const before = await start(policy);
  assert.equal(before.resetAt(policy, alice), at('01-12T03:00:00'));
  await before.saved();
  clock.now = at('01-20T12:00:00');
  const after = await start(policy);
  assert.equal(after.resetAt(policy, alice), at('01-12T03:00:00'));
  await after.emptied(policy.id, alice);
  assert.equal(after.resetAt(policy, alice), null);
  assert.equal(after.resetAt(policy, bob), null);
});

test('a schedule that is new, or is changed, says nothing of the time before, also over a restart', async () => {
  const { start, clock, lines } = await world(at('01-10T12:00:00'));
  const resets = await start(daily());
  resets.resetAt(daily(), alice);
  clock.now = at('01-10T13:00:00');
  const changed = daily('30 12 * * *');
  resets.follow(setOf(changed));
  assert.equal(resets.resetAt(changed, alice), at('01-11T12:30:00'));
  await resets.saved();
  const after = await start(changed);
  assert.equal(after.resetAt(changed, alice), at('01-11T12:30:00'));

  clock.now = at('01-11T13:00:00');
  const elsewhere = await start(daily('15 12 * * *'));
  assert.equal(
    elsewhere.resetAt(daily('15 12 * * *'), alice),
    at('01-12T12:15:00'),
    'changed while nothing ran',
  );
  assert.deepEqual(
    lines.map(({ schedule, next }) => [schedule, next]),
    [
      ['0 3 * * *', '2026-01-11T03:00:00.000Z'],
      ['30 12 * * *', '2026-01-11T12:30:00.000Z'],
      ['15 12 * * *', '2026-01-12T12:15:00.000Z'],
    ],
  );
});

test('a policy whose reset was taken out and put back begins anew', async () => {
  const { start, clock } = await world(at('01-10T12:00:00'));
  const resets = await start(daily());
  resets.resetAt(daily(), alice);
  resets.follow(setOf(policyOf()));
  assert.equal(resets.resetAt(policyOf(), alice), null);
  clock.now = at('01-20T12:00:00');
  resets.follow(setOf(daily()));
  assert.equal(resets.resetAt(daily(), alice), at('01-21T03:00:00'));
});

test('policies that are out of reach at a start are not forgotten', async () => {
  const { start, clock } = await world(at('01-10T12:00:00'));
  const before = await start(daily());
  before.resetAt(daily(), alice);
  await before.saved();
  clock.now = at('01-12T12:00:00');
  const after = await start();
  after.follow(setOf(daily()));
  assert.equal(after.resetAt(daily(), alice), at('01-11T03:00:00'));
});

test('a schedule whose time is over is said, and one that the backend can not follow', async () => {
  const { start, lines } = await world(at('01-10T12:00:00'));
  await start(daily('2026-01-09T03:00:00'));
  assert.match(String(lines[0]?.msg), /its time is over/);
  const { log, lines: said } = await capturedLog();
  const resets = new Resets({ supported: false, log });
  await resets.load(setOf(daily()));
  assert.equal(resets.resetAt(daily(), alice), null);
  assert.deepEqual([said.length, said[0]?.level], [1, 'warn']);
});

test('a clock that was set back has nothing due for ever', async () => {
  const { start, clock } = await world(at('12-10T12:00:00'));
  const before = await start(daily());
  before.resetAt(daily(), alice);
  await before.saved();
  clock.now = at('01-10T12:00:00');
  const after = await start(daily());
  assert.equal(after.resetAt(daily(), alice), at('01-11T03:00:00'));
});

for (const broken of [
  '',
  '{',
  'null',
  '[]',
  '{"default":17}',
  '{"default":{"schedule":"0 3 * * *","timezone":"UTC","since":"long ago","terminals":{}}}',
  '{"default":{"schedule":"0 3 * * *","timezone":"UTC","since":0,"terminals":[]}}',
  `{"default":{"schedule":"0 3 * * *","timezone":"UTC","since":0,"terminals":{"${alice}":"then"}}}`,
  null,
]) {
  test(`when it is lost or broken (${broken}), nothing is due that was not due since the start`, async () => {
    const { start, clock, file } = await world(at('01-10T12:00:00'));
    const before = await start(daily());
    before.resetAt(daily(), alice);
    await before.saved();
    if (broken === null) await rm(file);
    else await writeFile(file, broken);
    clock.now = at('01-20T12:00:00');
    const after = await start(daily());
    assert.equal(after.resetAt(daily(), alice), at('01-21T03:00:00'));
    await after.saved();
    assert.deepEqual(Object.keys(JSON.parse(await readFile(file, 'utf8')).default.terminals), [alice]);
  });
}

test('it is written whole, beside and into place, for its owner alone', async () => {
  const { start, file } = await world(at('01-10T12:00:00'));
  const resets = await start(daily());
  for (let index = 0; index < 500; index += 1)
    resets.resetAt(daily(), `terminals-default-u${index}` as TerminalName);
  await resets.saved();
  assert.equal((await stat(file)).mode & 0o777, 0o600);
  assert.deepEqual(await readdir(path.dirname(file)), ['resets.json']);
  assert.equal(Object.keys(JSON.parse(await readFile(file, 'utf8')).default.terminals).length, 500);
});

test('where it can not be written the old one goes: what was done is never done again', async () => {
  const { start, file, clock, lines } = await world(at('01-10T12:00:00'));
  const before = await start(daily());
  before.resetAt(daily(), alice);
  await before.saved();
  clock.now = at('01-11T12:00:00');
  // A folder in the way of the draft fails for root as well.
  await mkdir(`${file}.new`);
  await before.emptied(daily().id, alice);
  assert.equal(lines.at(-1)?.level, 'warn');
  await rm(`${file}.new`, { recursive: true });
  const after = await start(daily());
  assert.equal(after.resetAt(daily(), alice), at('01-12T03:00:00'));
});

test('what the backend keeps itself counts, for as long as it is of the same schedule', async () => {
  const { start, clock, file } = await world(at('01-10T12:00:00'));
  const policy = daily();
  const resets = await start(policy);
  const kept = { schedule: '0 3 * * *', timezone: 'UTC', since: at('01-08T12:00:00') };
  assert.equal(resets.resetAt(policy, alice, kept), at('01-09T03:00:00'), 'missed while nobody was there');
  assert.equal(resets.foresee(policy, alice, kept), at('01-09T03:00:00'));
  const since = at('01-10T13:00:00');
  clock.now = since;
  assert.equal(resets.resetAt(policy, alice, { ...kept, since }), at('01-11T03:00:00'), 'done');
  const other = { ...kept, schedule: '@weekly' };
  assert.equal(resets.resetAt(policy, bob, other), at('01-11T03:00:00'), 'not yet told of this schedule');
  assert.equal(resets.foresee(policy, bob, other), at('01-11T03:00:00'));
  const ahead = { ...kept, since: at('03-01T00:00:00') };
  assert.equal(
    resets.resetAt(policy, bob, ahead),
    at('01-11T03:00:00'),
    'a clock that was ahead puts nothing off',
  );
  await resets.saved();
  const { terminals } = JSON.parse(await readFile(file, 'utf8')).default;
  assert.deepEqual(Object.keys(terminals), [bob]);
});
