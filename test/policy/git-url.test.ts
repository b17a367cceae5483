import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GitLocationError, parseGitLocation, shownLocation } from '../../src/policy/git-url.ts';

describe('a location', () => {
  for (const [text, url, protocol, ref, folder] of [
    ['https://a.org/b.git', 'https://a.org/b.git', 'https', null, ''],
    ['https://a.org/b', 'https://a.org/b', 'https', null, ''],
    ['https://a.org/b.git#main', 'https://a.org/b.git', 'https', 'main', ''],
    ['https://a.org/b.git#main:x/y', 'https://a.org/b.git', 'https', 'main', 'x/y'],
    ['https://a.org/b.git#:x', 'https://a.org/b.git', 'https', null, 'x'],
    ['https://a.org/b.git:x/y/', 'https://a.org/b.git', 'https', null, 'x/y'],
    ['https://a.org:8443/b#v1.2+x:./x', 'https://a.org:8443/b', 'https', 'v1.2+x', 'x'],
    ['https://user@a.org/b.git', 'https://user@a.org/b.git', 'https', null, ''],
    ['git@a.org:team/b.git', 'git@a.org:team/b.git', 'ssh', null, ''],
    ['git@a.org:team/b.git#main:x', 'git@a.org:team/b.git', 'ssh', 'main', 'x'],
    ['git@a.org:team/b.git:x', 'git@a.org:team/b.git', 'ssh', null, 'x'],
    ['ssh://git@a.org:22/b.git#refs/heads/x', 'ssh://git@a.org:22/b.git', 'ssh', 'refs/heads/x', ''],
    ['file:///srv/b.git', 'file:///srv/b.git', 'file', null, ''],
    ['git://a.org/b.git', 'git://a.org/b.git', 'git', null, ''],
    ['http://localhost:3000/b.git', 'http://localhost:3000/b.git', 'http', null, ''],
  ] as const) {
    test(`is ${text}`, () => assert.deepEqual(parseGitLocation(text), { url, protocol, ref, folder }));
  }

  for (const text of [
    '/srv/b.git',
    'b.git',
    '--upload-pack=x',
    'ext::sh -c x',
    'ftp://a.org/b.git',
    'https://',
    'https://a.org/b c.git',
    'https://user:token@a.org/b.git',
    'ssh://-oProxyCommand=x/b.git',
    'ssh://-x@a.org/b.git',
    '-x@a.org:b.git',
    'file://a.org/b.git',
    'https://a.org/b.git#-x',
    'https://a.org/b.git#a..b',
    'https://a.org/b.git#a b',
    'https://a.org/b.git#a~1',
    'https://a.org/b.git#x.lock',
    'https://a.org/b.git#main:../x',
    'https://a.org/b.git#main:x/../../y',
    'https://a.org/b.git#main:.git',
    'https://a.org/b.git#main:a\nb',
  ]) {
    test(`is not ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseGitLocation(text), GitLocationError);
    });
  }

  test('is shown without the user', () => {
    assert.equal(shownLocation(parseGitLocation('https://user@a.org/b.git:x')), 'https://a.org/b.git#:x');
    assert.equal(shownLocation(parseGitLocation('git@a.org:b.git#main')), 'git@a.org:b.git#main');
  });
});
