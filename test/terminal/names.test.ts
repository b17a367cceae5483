import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  homeSegments,
  isNobody,
  isWarmName,
  keyOfName,
  nobody,
  safeSegment,
  terminalName,
} from '../../src/terminal/names.ts';
import type { ContextId, PolicyId, TerminalKey, UserId } from '../../src/terminal/terminal.ts';

const uuid = 'c0ffee00-1234-4abc-8def-0123456789ab';

function key(policy: string, user: string, context: string | null = null): TerminalKey {
  return { policy: policy as PolicyId, user: user as UserId, context: context as ContextId | null };
}

const evil = [
  '..',
  '.',
  '../../etc/passwd',
  '/',
  '/root',
  'a/b',
  'a\\b',
  'a\0b',
  '\u202eabc',
  'ａｌｉｃｅ',
  'Alice',
  'alice\n',
  ' alice',
  '-',
  '--',
  '-rf',
  '%2e%2e',
  'con',
  'x'.repeat(200),
  `${'x'.repeat(199)}y`,
  '😀',
  'alice.chat',
  'a_b',
];

test('an id of Open WebUI stays readable in the name', () => {
  assert.equal(terminalName(key('default', uuid)), `terminals-default-${uuid}`);
  assert.equal(terminalName(key('data-science', 'alice')), 'terminals-data-science-alice');
});

test('names hold only what container, host and file names may', () => {
  for (const user of evil) {
    const name = terminalName(key('data-science', user));
    assert.match(name, /^terminals-[a-z0-9-]+[a-z0-9]$/, JSON.stringify(user));
    assert.ok(name.length <= 63, name);
  }
});

test('two keys never share a name, whatever is in them', () => {
  const users = [...evil, 'alice', 'b', 'b-c', 'a-b', uuid, 'alice-0123456789abcdef', safeSegment('Alice')];
  const policies = ['a', 'a-b', 'default', 'x-c0ffee00-1234-4abc-8def'];
  const keys = policies.flatMap((policy) =>
    users.flatMap((user) => [null, 'chat:1', 'chat:2'].map((context) => key(policy, user, context))),
  );
  assert.equal(new Set(keys.map(terminalName)).size, keys.length);
  assert.equal(new Set(keys.map((one) => homeSegments(one).join('/'))).size, keys.length);
});

test('pairs that would read the same are told apart', () => {
  assert.notEqual(terminalName(key('a-b', 'c')), terminalName(key('a', 'b-c')));
  assert.notEqual(
    terminalName(key('x-c0ffee00-1234-4abc-8def', '0123456789ab')),
    terminalName(key('x', uuid)),
  );
});

test('an id that imitates a hashed name does not get it', () => {
  const hashed = safeSegment('Alice');
  assert.notEqual(safeSegment(hashed), hashed);
});

test('a home is one plain folder in its policy’s folder', () => {
  for (const user of evil) {
    for (const segment of homeSegments(key('default', user, 'chat:../..'))) {
      assert.match(segment, /^[a-z0-9][a-z0-9._-]*$/);
      assert.ok(!segment.includes('..'));
    }
  }
});

test('a context has a name and a home of its own', () => {
  assert.notEqual(terminalName(key('a', 'alice', 'chat:1')), terminalName(key('a', 'alice')));
  assert.notDeepEqual(homeSegments(key('a', 'alice', 'chat:1')), homeSegments(key('a', 'alice')));
});

test("the name of what is nobody's is never that of a user, whatever their id and policy", () => {
  const id = '0123456789abcdef';
  const name = terminalName(key('data-science', nobody(id)));
  assert.equal(name, `terminals-warm_data-science_${id}`);
  assert.ok(isWarmName(name) && isNobody(nobody(id)));
  const alike = [...evil, `data-science_${id}`, `data-science-${id}`, `_${id}`, 'warm', nobody(id).slice(1)];
  for (const policy of ['warm', 'data-science', 'a', 'x'.repeat(63)]) {
    for (const user of alike) {
      assert.ok(!isWarmName(terminalName(key(policy, user))), `${policy} ${user}`);
      assert.ok(!isNobody(user as UserId));
    }
  }
  const long = terminalName(key('x'.repeat(63), nobody(id)));
  assert.ok(isWarmName(long) && long.length <= 63, long);
});

test('a name tells whose it is where it can be read in one way only, and else nothing', () => {
  const users = [...evil, 'alice', 'b', 'b-c', 'a-b', uuid, 'alice-0123456789abcdef'];
  for (const policy of ['a', 'a-b', 'default', 'x-c0ffee00-1234-4abc-8def', 'p'.repeat(63)]) {
    for (const user of users) {
      for (const context of [null, 'chat:1']) {
        const made = key(policy, user, context);
        const read = keyOfName(terminalName(made), made.policy);
        if (read !== null) assert.deepEqual(read, made);
      }
    }
  }
  assert.deepEqual(keyOfName(`terminals-default-${uuid}`, 'default' as PolicyId), key('default', uuid));
  assert.equal(keyOfName('terminals-a-b-c', 'a' as PolicyId), null);
  assert.equal(keyOfName('terminals-default-alice', 'other' as PolicyId), null);
});
