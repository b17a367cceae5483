import assert from 'node:assert/strict';
import { test } from 'node:test';
import { authorityOf } from '../../src/terminal/address.ts';

for (const [host, text] of [
  ['10.0.0.1', '10.0.0.1:8000'],
  ['terminals-default-alice', 'terminals-default-alice:8000'],
  ['fd00::1', '[fd00::1]:8000'],
] as const) {
  test(`the server of ${host} is at ${text}`, () => {
    const authority = authorityOf({ host, port: 8000 });
    assert.equal(authority, text);
    assert.equal(new URL(`http://${authority}/x`).port, '8000');
  });
}
