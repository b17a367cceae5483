import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkStructure } from '../../src/policy/schema.ts';
import { errorsOf, header, long, shown } from './documents.ts';

describe('the header', () => {
  for (const [what, document, words] of [
    [
      'another kind',
      { ...header, kind: 'Pod' },
      'kind: "Pod" is not one of its values (write "Policy" or "PolicyDefaults")',
    ],
    [
      'another version',
      { ...header, apiVersion: 'v1' },
      'apiVersion: "v1" is not known here (write "terminals.openwebui.com/v1alpha1")',
    ],
    [
      'no kind',
      { apiVersion: header.apiVersion, metadata: header.metadata },
      ': the field "kind" is missing (write for example kind: "Policy")',
    ],
    [
      'no name',
      { ...header, metadata: {} },
      'metadata: the field "name" is missing (write for example name: "data-science")',
    ],
    ['a list instead of a map', [], ': this is a list, not a map ()'],
    ['a text instead of a map', 'policy', ': this is the string "policy", not a map ()'],
    ['a number instead of a map', 1, ': this is the number 1, not a map ()'],
  ] as const) {
    test(`${what} is refused with what to write`, () => {
      const errors = errorsOf(document).map(
        ({ path, message, hint }) => `${path.join('.')}: ${message} (${hint})`,
      );
      assert.deepEqual(errors, [words]);
    });
  }

  for (const name of ['a', 'data-science', '0', long(63)]) {
    test(`takes the name ${shown(name)}`, () => {
      assert.ok(checkStructure({ ...header, metadata: { name } }, {}).ok);
    });
  }
  for (const name of ['', 'A', 'a_b', '-a', 'a-', 'a.b', 'ä', 'a/b', long(64), 1, null]) {
    test(`refuses the name ${shown(name)}`, () => {
      assert.ok(
        errorsOf({ ...header, metadata: { name } }).every(({ path }) => path.join('.') === 'metadata.name'),
      );
    });
  }

  for (const parent of ['base', '0', long(63)]) {
    test(`extends ${shown(parent)}`, () => assert.ok(checkStructure({ ...header, extends: parent }, {}).ok));
  }
  for (const parent of ['', 'A', 'a/b', 'a b', long(64), 1, null, ['base']]) {
    test(`does not extend ${shown(parent)}`, () => {
      assert.ok(errorsOf({ ...header, extends: parent }).every(({ path }) => path.join('.') === 'extends'));
    });
  }

  test('of defaults needs no name, and extends nothing', () => {
    const { apiVersion } = header;
    const defaults = { apiVersion, kind: 'PolicyDefaults', spec: { image: 'a' } };
    assert.ok(checkStructure(defaults, {}).ok);
    assert.ok(checkStructure({ ...defaults, metadata: header.metadata }, {}).ok);
    assert.deepEqual(errorsOf({ ...defaults, extends: 'base' }), [
      {
        path: ['extends'],
        atName: false,
        message: 'this has no meaning in a document of this kind',
        hint: 'leave it out',
      },
    ]);
    assert.deepEqual(
      errorsOf({ apiVersion, kind: 'Policy' }).map(({ message }) => message),
      ['the field "metadata" is missing'],
    );
  });

  test('takes labels and annotations of GitOps tools', () => {
    const metadata = { name: 'a', labels: { 'argocd.argoproj.io/instance': 'x' }, annotations: { b: 'y' } };
    assert.ok(checkStructure({ ...header, metadata }, {}).ok);
    assert.ok(!checkStructure({ ...header, metadata: { name: 'a', labels: { a: 1 } } }, {}).ok);
  });

  test('every problem of a document is said at once', () => {
    const document = { kind: 'Pod', metadata: { name: 'A' }, spec: { image: 1, idle: 2 } };
    assert.deepEqual(
      new Set(errorsOf(document).map(({ path }) => path.join('.'))),
      new Set(['', 'kind', 'metadata.name', 'spec.image', 'spec.idle']),
    );
  });
});
