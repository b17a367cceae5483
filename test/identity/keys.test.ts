import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseKeys, SharedKeys } from '../../src/identity/keys.ts';

test('keys are separated by commas or lines, blanks around them and empty ones left out', () => {
  assert.deepEqual(parseKeys(' one,two\nthree \r\n\n, one'), ['one', 'two', 'three']);
  assert.deepEqual(parseKeys(' \n'), []);
});

test('each of several keys is good, and nothing else', () => {
  const keys = new SharedKeys(['one', 'two']);
  assert.ok(keys.accepts('one'));
  assert.ok(keys.accepts('two'));
  for (const wrong of ['', 'One', 'one,two', 'three']) assert.ok(!keys.accepts(wrong), wrong);
});

test('after a change only the new keys are good', () => {
  const keys = new SharedKeys(['old']);
  keys.setKeys(['new']);
  assert.ok(keys.accepts('new'));
  assert.ok(!keys.accepts('old'));
});

test('without a key nobody is admitted', () => {
  assert.ok(!new SharedKeys([]).accepts(''));
});
