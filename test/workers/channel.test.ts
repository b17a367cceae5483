import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PolicyUnknownError, ShuttingDownError } from '../../src/errors.ts';
import type { Call } from '../../src/workers/channel.ts';
import { gate, turns } from '../reconcile/harness.ts';
import { connected } from './fixtures.ts';

interface Sums {
  add: Call<readonly number[], number>;
  note: Call<string>;
  fail: Call<string>;
  wait: Call<null>;
}
type Nothing = Record<never, never>;

function pair() {
  const noted: string[] = [];
  const held = gate();
  let aborted = false;
  const [asking, answering] = connected<Sums, Nothing>(
    {},
    {
      add: (numbers) => numbers.reduce((sum, number) => sum + number, 0),
      note: (text) => {
        noted.push(text);
      },
      fail: (policy) => {
        throw new PolicyUnknownError(policy);
      },
      wait: async (_body, signal) => {
        signal.addEventListener('abort', () => {
          aborted = true;
        });
        await held.passed;
      },
    },
  );
  return { asking, answering, noted, held, aborted: () => aborted };
}

test('what is asked is answered, each by its own', async () => {
  const { asking } = pair();
  assert.deepEqual(
    await Promise.all([asking.ask('add', [1, 2]), asking.ask('add', [10, 20]), asking.ask('add', [])]),
    [3, 30, 0],
  );
});

test('what is told comes in its order, before the answer to what is asked after it', async () => {
  const { asking, noted } = pair();
  asking.tell('note', 'first');
  asking.tell('note', 'second');
  await asking.ask('add', []);
  assert.deepEqual(noted, ['first', 'second']);
});

test('what the other side throws is thrown here', async () => {
  const { asking } = pair();
  await assert.rejects(asking.ask('fail', 'gone'), new PolicyUnknownError('gone'));
});

test('who gives up hears why at once, and the other side that nobody waits', async () => {
  const { asking, held, aborted } = pair();
  const giving = new AbortController();
  const asked = asking.ask('wait', null, giving.signal);
  await turns();
  giving.abort(new Error('it takes too long'));
  await assert.rejects(asked, /it takes too long/);
  await turns();
  assert.equal(aborted(), true);
  held.open();
  await turns();
  assert.equal(await asking.ask('add', [1]), 1, 'the answer that came too late harms nothing');
});

test('who has given up before asks nothing', async () => {
  const { asking, noted } = pair();
  await assert.rejects(asking.ask('note', 'x', AbortSignal.abort(new Error('given up'))), /given up/);
  await turns();
  assert.deepEqual(noted, []);
});

test('when the other side is gone, who waits and who asks hear of it, and what was begun for it is aborted', async () => {
  const { asking, answering, noted, aborted } = pair();
  const asked = asking.ask('wait', null);
  await turns();
  asking.close(new ShuttingDownError());
  answering.close(new ShuttingDownError());
  await assert.rejects(asked, ShuttingDownError);
  assert.equal(aborted(), true);
  await assert.rejects(asking.ask('add', []), ShuttingDownError);
  asking.tell('note', 'x');
  await turns();
  assert.deepEqual(noted, []);
});
