import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isUserId } from '../../src/identity/credentials.ts';

for (const id of ['alice', 'a@example.org', '../../etc', 'ünïcode', '😀', 'x'.repeat(512)]) {
  test(`${JSON.stringify(id.slice(0, 20))} can be a user's id`, () => assert.equal(isUserId(id), true));
}

// Two ids with different lone surrogates would have the same bytes, and so one name, one home and one key.
for (const id of ['', ' ', 'a\nb', 'a\u0000', '\ud800', 'a\udfffb', 'x'.repeat(513), 7, null, ['a'], {}]) {
  test(`${JSON.stringify(id)?.slice(0, 20)} can not`, () => assert.equal(isUserId(id), false));
}
