import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Route } from '../../src/proxy/route.ts';
import { SessionAnswer, Sessions } from '../../src/proxy/sessions.ts';
import type { PolicyId, UserId } from '../../src/terminal/terminal.ts';

const user = 'alice' as UserId;
const route: Route = {
  identity: { user, groups: null, admittedBy: 'oidc' },
  key: { policy: 'default' as PolicyId, user, context: null },
};
const origin = { userId: 'alice-in-open-webui', policy: null };

test('a session is good for one WebSocket of the same user and policy', () => {
  const sessions = new Sessions();
  sessions.made('s1', route, origin);
  assert.equal(sessions.take('s1', { ...origin, userId: 'bob' }), null);
  assert.equal(sessions.take('s1', { ...origin, userId: undefined }), null);
  assert.equal(sessions.take('s1', { ...origin, policy: 'other' }), null);
  assert.equal(sessions.take('s1', origin), route);
  assert.equal(sessions.take('s1', origin), null);
});

test('a session nobody made is none', () => {
  assert.equal(new Sessions().take('s1', origin), null);
});

test('a session is good for a minute', () => {
  let now = 0;
  const sessions = new Sessions(() => now);
  sessions.made('s1', route, origin);
  sessions.made('s2', route, origin);
  now = 59_999;
  assert.equal(sessions.take('s1', origin), route);
  now = 60_000;
  assert.equal(sessions.take('s2', origin), null);
});

test('there are never more than ten thousand', () => {
  const sessions = new Sessions(() => 0);
  for (let index = 0; index <= 10_000; index += 1) sessions.made(`s${index}`, route, origin);
  assert.equal(sessions.take('s0', origin), null);
  assert.equal(sessions.take('s10000', origin), route);
});

const answers: readonly (readonly [what: string, chunks: readonly string[], id: string | null])[] = [
  ['an answer in pieces', ['{"id": "a', 'bc"}'], 'abc'],
  ['an answer with more after it', ['{"id": "abc"}', '\n'], 'abc'],
  ['no JSON', ['<html>'], null],
  ['another shape', ['["id"]'], null],
  ['an id that is no text', ['{"id": 1}'], null],
  ['nothing', [], null],
  ['more than a session could be', ['{"id": "', 'x'.repeat(20_000), '"}'], null],
];
for (const [what, chunks, id] of answers) {
  test(`the id in ${what}`, () => {
    const told: string[] = [];
    const answer = new SessionAnswer((one) => told.push(one));
    for (const chunk of chunks) answer.add(Buffer.from(chunk));
    assert.deepEqual(told, id === null ? [] : [id]);
  });
}
