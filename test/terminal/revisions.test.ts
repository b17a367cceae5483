import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Failure,
  failed,
  proved,
  type Revisions,
  retried,
  unknownRevisions,
} from '../../src/terminal/revisions.ts';
import type { TerminalName } from '../../src/terminal/terminal.ts';
import { desired } from './fixtures.ts';

const [first, second] = [desired(), desired({ image: 'open-terminal:2' })];
const good: Revisions = { good: first, trial: null };

function failure(terminal: string, at = 0, changes: Partial<Failure> = {}): Failure {
  const { revision } = second;
  const reason = `${terminal} ended at once`;
  return {
    ...{ revision, terminal: terminal as TerminalName, reason, lastLines: [], at },
    ...{ pauseOnFailures: 3, pauseMs: () => 1_000 },
    ...changes,
  };
}

test('what runs is good, whatever failed before', () => {
  assert.deepEqual(proved(unknownRevisions, first), good);
  const tried = failed(good, failure('a'));
  assert.deepEqual(proved(tried, second), { good: second, trial: null });
});

test('what is known already is no change', () => {
  assert.equal(proved(good, first), good);
  assert.equal(retried(good), good);
});

test('so many failures in a row stall, and say the last one', () => {
  const tried = ['a', 'b', 'c'].reduce((known, name, at) => failed(known, failure(name, at)), good);
  assert.deepEqual(tried.trial?.failed, ['a', 'b', 'c']);
  assert.deepEqual(tried.trial?.stalled, {
    since: 2,
    terminal: 'c',
    reason: 'c ended at once',
    lastLines: [],
  });
  assert.deepEqual(tried.good, first);
});

test('two processes that saw the same start fail count it once', () => {
  const once = failed(good, failure('a', 5));
  assert.equal(failed(once, failure('a', 900)), once);
});

test('one that goes again after its pause, and fails again, counts again', () => {
  const once = failed(good, failure('a', 0));
  const twice = failed(once, failure('a', 1_000));
  assert.deepEqual([twice.trial?.failures, twice.trial?.failed, twice.trial?.againAt], [2, ['a'], 2_000]);
});

test('without a good one to go back to, every failure counts', () => {
  const tried = [1, 2, 3].reduce((known) => failed(known, failure('a')), unknownRevisions);
  assert.equal(tried.trial?.stalled?.terminal, 'a');
});

test('failures of another revision say nothing about this one', () => {
  const other = failed(good, failure('a', 0, { revision: desired({ image: 'open-terminal:3' }).revision }));
  assert.equal(failed(other, failure('b')).trial?.failures, 1);
});

test('a stall stays when a terminal of the same, proven revision runs; a retry ends it', () => {
  const proven: Revisions = { good: second, trial: null };
  const stalled = failed(proven, failure('a', 0, { pauseOnFailures: 1 }));
  assert.ok(stalled.trial?.stalled);
  assert.equal(proved(stalled, second), stalled);
  assert.deepEqual(retried(stalled), proven);
});
