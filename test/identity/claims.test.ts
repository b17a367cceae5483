import assert from 'node:assert/strict';
import { test } from 'node:test';
import { claimAt, claimedGroups } from '../../src/identity/claims.ts';

type Case = readonly [
  what: string,
  claims: Record<string, unknown>,
  place: string,
  names: readonly string[] | null,
];

const cases: readonly Case[] = [
  ['an array', { groups: ['data', 'web'] }, 'groups', ['data', 'web']],
  ['a single name', { groups: 'data' }, 'groups', ['data']],
  [
    'names separated by commas, which may hold spaces',
    { groups: 'data science, web' },
    'groups',
    ['data science', 'web'],
  ],
  ['names separated by spaces', { groups: 'data  web\tml' }, 'groups', ['data', 'web', 'ml']],
  ['an empty text', { groups: '' }, 'groups', []],
  ['an empty array', { groups: [] }, 'groups', []],
  ['names that come twice', { groups: ['data', ' data '] }, 'groups', ['data']],
  ['an array of more than texts', { groups: ['data', 7, null, {}, ['web']] }, 'groups', ['data']],
  ['a number', { groups: 7 }, 'groups', []],
  ['an object', { groups: { data: true } }, 'groups', []],
  ['null', { groups: null }, 'groups', []],
  ['no claim', {}, 'groups', []],
  ['a dotted path', { realm_access: { roles: ['data'] } }, 'realm_access.roles', ['data']],
  [
    'a JSON pointer',
    { resource_access: { 'open-webui': { roles: ['data'] } } },
    '/resource_access/open-webui/roles',
    ['data'],
  ],
  ['a JSON pointer with escapes', { 'a/b': { 'c~d': ['data'] } }, '/a~1b/c~0d', ['data']],
  [
    'a claim named by a URL',
    { 'https://example.com/groups': ['data'] },
    'https://example.com/groups',
    ['data'],
  ],
  ['a claim whose name has dots', { 'my.groups': ['data'] }, 'my.groups', ['data']],
  ['the literal name before the path', { 'a.b': ['literal'], a: { b: ['path'] } }, 'a.b', ['literal']],
  [
    'a name with dots on the way',
    { resource_access: { 'my.client': { roles: ['data'] } } },
    'resource_access.my.client.roles',
    ['data'],
  ],
  ['a path that ends too early', { realm_access: 'x' }, 'realm_access.roles', []],
  ['a path into an array', { a: [['x']] }, '/a/0', []],
  ['what every object has', {}, 'constructor.name', []],
  ['what every object has, by pointer', {}, '/__proto__/constructor', []],
  [
    'Entra ID\u2019s overage',
    { _claim_names: { groups: 'src1' }, _claim_sources: { src1: { endpoint: 'https://graph' } } },
    'groups',
    null,
  ],
  ['Entra ID\u2019s overage in an implicit flow', { hasgroups: true }, 'groups', null],
  ['an overage of another claim', { _claim_names: { roles: 'src1' } }, 'groups', []],
  ['groups beside an overage', { groups: ['data'], _claim_names: { groups: 'src1' } }, 'groups', ['data']],
];

for (const [what, claims, place, names] of cases) {
  test(`groups from ${what}`, () => {
    const { groups } = claimedGroups(claims, place);
    assert.deepEqual(groups?.map(({ name }) => name) ?? null, names);
  });
}

test('an overage is explained, with what to change', () => {
  const { note } = claimedGroups({ _claim_names: { groups: 'src1' } }, 'groups');
  assert.match(note ?? '', /more groups than.+Have the app registration/);
});

test('a missing claim is named', () => {
  assert.equal(claimedGroups({}, 'roles').note, 'The token has no claim roles.');
});

test('a claim that is set to false or 0 is found', () => {
  assert.equal(claimAt({ a: { b: 0 } }, 'a.b'), 0);
});

test('what every object has is no claim', () => {
  for (const place of ['constructor', '__proto__', '/constructor', '/__proto__', 'toString']) {
    assert.equal(claimAt({}, place), undefined, place);
  }
});
