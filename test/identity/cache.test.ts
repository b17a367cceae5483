import assert from 'node:assert/strict';
import { test } from 'node:test';
import { IdentityUnavailableError, UnauthenticatedError } from '../../src/errors.ts';
import { type Checked, CheckedCache } from '../../src/identity/cache.ts';

interface Answer {
  readonly name: string;
}

function setup(options: { max?: number } = {}) {
  let now = 1_000_000;
  let calls = 0;
  let answer: () => Promise<Checked<Answer>> = async () => ({
    value: { name: `answer ${calls}` },
    until: null,
  });
  const stale: string[] = [];
  const cache = new CheckedCache<Answer>({
    ttlMs: 60_000,
    staleMs: 300_000,
    retryMs: 5_000,
    max: options.max ?? 100,
    now: () => now,
    onStale: (error) => stale.push(error.message),
  });
  const load = () => {
    calls += 1;
    return answer();
  };
  return {
    cache,
    stale,
    get: async (key = 'key') => (await cache.get(key, load)).name,
    load,
    calls: () => calls,
    pass: (ms: number) => {
      now += ms;
    },
    now: () => now,
    answers: (next: () => Promise<Checked<Answer>>) => {
      answer = next;
    },
  };
}

const unavailable = async () => {
  throw new IdentityUnavailableError('away', '');
};
const refused = async () => {
  throw new UnauthenticatedError('no', '');
};

test('an answer is asked for once and kept until its time is over', async () => {
  const { get, calls, pass } = setup();
  assert.equal(await get(), 'answer 1');
  pass(59_999);
  assert.equal(await get(), 'answer 1');
  assert.equal(calls(), 1);
  pass(2);
  assert.equal(await get(), 'answer 2');
});

test('a kept answer comes at once, not as a promise', async () => {
  const { cache, get, load } = setup();
  await get();
  assert.ok(!(cache.get('key', load) instanceof Promise));
});

test('fifty who ask at once cause one question', async () => {
  const { get, calls } = setup();
  const names = await Promise.all(Array.from({ length: 50 }, () => get()));
  assert.deepEqual(new Set(names), new Set(['answer 1']));
  assert.equal(calls(), 1);
});

test('fifty who ask at once for an answer whose time is over cause one question', async () => {
  const { get, calls, pass } = setup();
  await get();
  pass(60_001);
  await Promise.all(Array.from({ length: 50 }, () => get()));
  assert.equal(calls(), 2);
});

test('an answer with an end is not used past it, however long the cache keeps others', async () => {
  const { get, answers, now, pass } = setup();
  const until = now() + 10_000;
  answers(async () => ({ value: { name: 'short' }, until }));
  assert.equal(await get(), 'short');
  pass(9_999);
  assert.equal(await get(), 'short');
  pass(1);
  answers(refused);
  await assert.rejects(get(), UnauthenticatedError);
});

test('while nobody can be asked, the last answer counts for the stale time and no longer', async () => {
  const { get, answers, calls, pass, stale } = setup();
  await get();
  answers(unavailable);
  pass(60_001);
  assert.equal(await get(), 'answer 1');
  assert.deepEqual(stale, ['away']);
  assert.equal(await get(), 'answer 1');
  assert.equal(calls(), 2, 'the next attempt waits a little');
  pass(5_001);
  assert.equal(await get(), 'answer 1');
  assert.equal(calls(), 3);
  pass(300_000 - 5_001 - 2);
  assert.equal(await get(), 'answer 1');
  pass(2);
  await assert.rejects(get(), IdentityUnavailableError);
});

test('the stale time ends with the answer\u2019s own end', async () => {
  const { get, answers, now, pass } = setup();
  const until = now() + 70_000;
  answers(async () => ({ value: { name: 'ends' }, until }));
  await get();
  answers(unavailable);
  pass(65_000);
  assert.equal(await get(), 'ends');
  pass(5_000);
  await assert.rejects(get(), IdentityUnavailableError);
});

test('a refusal is no outage: the last answer is forgotten', async () => {
  const { get, cache, answers, pass } = setup();
  await get();
  answers(refused);
  pass(60_001);
  await assert.rejects(get(), UnauthenticatedError);
  answers(unavailable);
  await assert.rejects(get(), IdentityUnavailableError);
  assert.equal(cache.size, 0);
});

test('after an outage the next answer is a fresh one', async () => {
  const { get, answers, pass } = setup();
  await get();
  answers(unavailable);
  pass(60_001);
  await get();
  answers(async () => ({ value: { name: 'back' }, until: null }));
  pass(5_001);
  assert.equal(await get(), 'back');
});

test('no more answers are kept than it may, and the longest unused go first', async () => {
  const { get, cache, calls } = setup({ max: 3 });
  for (const key of ['a', 'b', 'c']) await get(key);
  await get('a');
  await get('d');
  assert.equal(cache.size, 3);
  assert.equal(cache.peek('b'), undefined);
  assert.notEqual(cache.peek('a'), undefined);
  assert.equal(calls(), 4);
});

test('more who ask at once than answers are kept all get theirs', async () => {
  const { get, cache } = setup({ max: 3 });
  const names = await Promise.all(Array.from({ length: 20 }, (_, index) => get(`key ${index}`)));
  assert.equal(names.length, 20);
  assert.ok(names.every((name) => name.startsWith('answer')));
  assert.ok(cache.size <= 3);
});

test('more refusals at once than answers are kept reach who asked, and nobody else', async (t) => {
  const { get, cache, answers } = setup({ max: 3 });
  const unhandled: unknown[] = [];
  const note = (reason: unknown) => void unhandled.push(reason);
  process.on('unhandledRejection', note);
  t.after(() => process.off('unhandledRejection', note));
  answers(async () => {
    await new Promise(setImmediate);
    return refused();
  });
  const asked = Array.from({ length: 20 }, (_, index) => get(`key ${index}`));
  for (const { status } of await Promise.allSettled(asked)) assert.equal(status, 'rejected');
  await new Promise(setImmediate);
  assert.deepEqual(unhandled, []);
  assert.equal(cache.size, 0);
});
