import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRevisions, revisionsText } from '../../src/reconcile/revisions-text.ts';
import { failed, type Revisions, unknownRevisions } from '../../src/terminal/revisions.ts';
import { desired } from '../terminal/fixtures.ts';

const { revision, workload, name } = desired();
const known: Revisions = failed(
  { good: { revision, workload }, trial: null },
  {
    ...{
      revision: desired({ image: 'open-terminal:2' }).revision,
      terminal: name,
      reason: 'It ended.',
      lastLines: ['x'],
    },
    ...{ pauseOnFailures: 1, pauseMs: () => 1_000, at: 7 },
  },
);

test('what is written is read again', () => {
  assert.deepEqual(parseRevisions(revisionsText(known)), known);
  assert.deepEqual(parseRevisions(revisionsText(unknownRevisions)), unknownRevisions);
});

test('what somebody wrote by hand, or another version, is nothing', () => {
  const texts = [
    '',
    'null',
    '[]',
    '{"good": {"image": 7}, "trial": {}}',
    '{"good": {"image": "a"}, "trial": 1}',
  ];
  for (const text of texts) assert.deepEqual(parseRevisions(text), unknownRevisions, text);
});

test('a revision is made from its workload, whatever is said to be its name', () => {
  const text = JSON.stringify({ good: { ...workload, revision: 'invented' }, trial: null });
  assert.equal(parseRevisions(text).good?.revision, revision);
});
