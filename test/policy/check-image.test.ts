import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkMeaning, isImageReference, matches } from '../../src/policy/check.ts';
import { specOf } from './documents.ts';
import { rulesWith } from './fixtures.ts';

function said(image: string, allowedImages: readonly string[] = []): readonly string[] {
  const document = { metadata: { name: 'a' }, spec: specOf({ image }) };
  return checkMeaning(document, rulesWith({ allowedImages })).findings.map(
    ({ severity, path, message, hint }) => `${severity}: ${path.join('.')}: ${message} (${hint})`,
  );
}

const digest = `sha256:${'0'.repeat(64)}`;

describe('an image reference', () => {
  for (const image of [
    'alpine',
    'alpine:3.20',
    'ghcr.io/open-webui/open-terminal:latest',
    'registry.example.org:5000/team/a_b/c-d.e:1.2-X',
    'localhost:5000/a',
    'a__b/c--d',
    `a/b@${digest}`,
    `a/b:1@${digest}`,
    `a:${'x'.repeat(128)}`,
  ]) {
    test(`is ${image.slice(0, 60)}`, () => assert.equal(isImageReference(image), true));
  }

  for (const image of [
    '',
    'two words',
    ' alpine',
    'alpine\n',
    'Upper/Case',
    'a:',
    'a/',
    '/a',
    'a//b',
    'a/-b',
    'a..-/b',
    'https://example.org/a',
    'a@sha256:12',
    `a@SHA256:${'0'.repeat(64)}`,
    `a:${'x'.repeat(129)}`,
    'a:-x',
    'ghcr.io:/a',
    '$(id)',
    '--privileged',
  ]) {
    test(`is not ${JSON.stringify(image).slice(0, 60)}`, () => assert.equal(isImageReference(image), false));
  }

  test('is what a policy has to name', () => {
    assert.deepEqual(said('Upper/Case'), [
      'error: spec.image: "Upper/Case" is not an image reference (write registry/name:tag or registry/name@sha256:…)',
    ]);
  });
});

describe('allowed images', () => {
  test('are all where no list is set', () => assert.deepEqual(said('any.example.org/thing'), []));

  test('are those that match a pattern', () => {
    assert.deepEqual(said('b.org/x:1', ['a.org/*', 'b.org/x:*']), []);
    assert.deepEqual(said('c.org/x:1', ['a.org/*', 'b.org/x:*']), [
      'error: spec.image: "c.org/x:1" is not an allowed image (TERMINALS_ALLOWED_IMAGES has a.org/*, b.org/x:*)',
    ]);
  });

  for (const [pattern, text, expected] of [
    ['a/b:*', 'a/b:1', true],
    ['a/b:*', 'a/b', false],
    ['a/*', 'a/b/c', true],
    ['*', 'anything', true],
    ['*/b', 'evil.org/b', true],
    ['a.b/c', 'axb/c', false],
    ['a/b', 'a/b:1', false],
    ['a/b', 'x/a/b', false],
    ['a/*', 'evil.org/a/b', false],
    ['a+/b', 'aa/b', false],
    ['a*c*e', 'abcde', true],
    ['a*c*e', 'abde', false],
  ] as const) {
    test(`"${pattern}" ${expected ? 'is' : 'is not'} "${text}"`, () => {
      assert.equal(matches(pattern, text), expected);
    });
  }
});
