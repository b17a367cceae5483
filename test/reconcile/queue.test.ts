import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WorkQueue } from '../../src/reconcile/queue.ts';
import type { TerminalName } from '../../src/terminal/terminal.ts';
import { turns } from './harness.ts';

/** A queue whose work ends when the test says so. */
function manual(concurrency: number, background: number) {
  const started: string[] = [];
  const open = new Map<string, () => void>();
  const queue = new WorkQueue(
    (name) => {
      assert.ok(!open.has(name), `${name} runs twice at once`);
      started.push(name);
      const { promise, resolve } = Promise.withResolvers<void>();
      open.set(name, resolve);
      return promise;
    },
    { concurrency, background },
  );
  const end = async (name: string) => {
    const resolve = open.get(name);
    assert.ok(resolve, `${name} does not run`);
    open.delete(name);
    resolve();
    await turns(3);
  };
  const add = (name: string, urgent = true) => queue.add(name as TerminalName, urgent);
  return { queue, started, end, add, running: () => [...open.keys()] };
}

test('a name added often before it starts runs once', async () => {
  const { started, add, end } = manual(1, 1);
  add('busy');
  for (let time = 0; time < 10; time += 1) add('a');
  await end('busy');
  await end('a');
  assert.deepEqual(started, ['busy', 'a']);
});

test('a name added while it runs runs once more, and never twice at once', async () => {
  const { started, add, end, running } = manual(4, 4);
  add('a');
  for (let time = 0; time < 10; time += 1) add('a', time % 2 === 0);
  assert.deepEqual(running(), ['a']);
  await end('a');
  assert.deepEqual(running(), ['a']);
  await end('a');
  assert.deepEqual(running(), []);
  assert.deepEqual(started, ['a', 'a']);
});

test('no more run at once than allowed, in the order they came', async () => {
  const { queue, started, add, end, running } = manual(2, 2);
  for (const name of ['a', 'b', 'c', 'd']) add(name);
  assert.deepEqual(running(), ['a', 'b']);
  assert.equal(queue.depth, 2);
  await end('b');
  assert.deepEqual(running(), ['a', 'c']);
  await end('a');
  await end('c');
  assert.deepEqual(started, ['a', 'b', 'c', 'd']);
});

test('work that nobody waits for takes its share only, and a user passes it', async () => {
  const { add, running } = manual(3, 1);
  add('background 1', false);
  add('background 2', false);
  assert.deepEqual(running(), ['background 1']);
  add('user 1');
  add('user 2');
  assert.deepEqual(running(), ['background 1', 'user 1', 'user 2']);
});

test('background work starts again when its share is free', async () => {
  const { add, end, running } = manual(3, 1);
  add('background 1', false);
  add('background 2', false);
  await end('background 1');
  assert.deepEqual(running(), ['background 2']);
});

test('a name that waits in the background is lifted when a user asks for it', async () => {
  const { queue, add, running } = manual(2, 1);
  add('background', false);
  add('a', false);
  add('a', true);
  assert.deepEqual(running(), ['background', 'a']);
  assert.equal(queue.depth, 0);
});

test('a name that a user waits for is not put back by an event', async () => {
  const { add, end, running } = manual(1, 0);
  add('busy');
  add('a', true);
  add('a', false);
  await end('busy');
  assert.deepEqual(running(), ['a']);
});

test('a name that runs does not hold up the one behind it', async () => {
  const { add, running } = manual(2, 2);
  add('a');
  add('a');
  add('b');
  assert.deepEqual(running(), ['a', 'b']);
});

test('closing waits for what runs, drops what waits, and takes no more', async () => {
  const { queue, started, add, end } = manual(1, 1);
  add('a');
  add('b');
  let closed = false;
  const closing = queue.close().then(() => {
    closed = true;
  });
  await turns(3);
  assert.equal(closed, false);
  add('c');
  await end('a');
  await closing;
  assert.deepEqual(started, ['a']);
  assert.equal(queue.depth, 0);
});

test('an idle queue closes at once', async () => {
  await manual(1, 1).queue.close();
});

test('who waits for the work on a name hears of its end, and at once where there is none', async () => {
  const { queue, add, end } = manual(1, 1);
  await queue.settled('a' as TerminalName);
  add('a');
  let settled = false;
  const waiting = queue.settled('a' as TerminalName).then(() => {
    settled = true;
  });
  await turns(3);
  assert.equal(settled, false);
  await end('a');
  await waiting;
});
