import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import pino from 'pino';
import { checkedOutCommit } from '../../src/policy/checkout.ts';
import { DirectorySource } from '../../src/policy/directory.ts';
import { PolicyStore } from '../../src/policy/store.ts';
import { policyText, rulesWith, temporaryDirectory, until } from './fixtures.ts';
import { Repository } from './repository.ts';

describe('the commit of a directory', () => {
  test('is that of its checkout: on a branch, packed or not, and on none', async () => {
    const repository = new Repository();
    const head = repository.commit({ 'policies/a.yaml': 'a' });
    const folder = path.join(repository.root, 'policies');
    assert.equal(await checkedOutCommit(folder), head);
    repository.git('pack-refs', '--all');
    assert.equal(await checkedOutCommit(folder), head);
    repository.git('checkout', '--quiet', '--detach');
    assert.equal(await checkedOutCommit(folder), head);
  });

  test('is that of a worktree, also through a link, as git-sync makes it', async () => {
    const repository = new Repository();
    repository.commit({ 'a.yaml': 'a' });
    const parent = temporaryDirectory();
    const worktree = path.join(parent, 'worktree');
    repository.git('worktree', 'add', '--quiet', '-b', 'other', worktree);
    const other = new Repository(path.join(parent, 'unrelated'));
    other.commit({ 'b.yaml': 'b' });
    symlinkSync(worktree, path.join(parent, 'link'));
    assert.equal(await checkedOutCommit(worktree), repository.head);
    assert.equal(await checkedOutCommit(path.join(parent, 'link')), repository.head);
  });

  test('is none where there is no checkout, no commit, or Git is in disorder', async () => {
    assert.equal(await checkedOutCommit(temporaryDirectory()), null);
    assert.equal(await checkedOutCommit('/nonexistent'), null);
    const repository = new Repository();
    assert.equal(await checkedOutCommit(repository.root), null);
    for (const head of ['', 'nonsense', 'ref: refs/../../../etc/passwd', 'ref: refs/heads/nowhere']) {
      writeFileSync(path.join(repository.root, '.git', 'HEAD'), head);
      assert.equal(await checkedOutCommit(repository.root), null, head);
    }
    const folder = temporaryDirectory();
    writeFileSync(path.join(folder, '.git'), 'gitdir: nowhere\n');
    assert.equal(await checkedOutCommit(folder), null);
  });
});

test('a store has the commit that is checked out, also of one that changes no policy', async () => {
  const repository = new Repository();
  mkdirSync(path.join(repository.root, 'policies'));
  const first = repository.commit({ 'policies/a.yaml': policyText('a') });
  const directory = path.join(repository.root, 'policies');
  const source = new DirectorySource(directory, repository.root);
  const store = new PolicyStore({ source, rules: rulesWith(), log: pino({ level: 'silent' }) });
  const ended = new AbortController();
  await store.start(ended.signal);
  assert.equal(store.current.source, first);
  const second = repository.commit({ 'README.md': 'read me' });
  await until('the store has the second commit', () => store.current.source === second);
  ended.abort();
});

test('a store of a directory that is no checkout has none', async () => {
  const directory = temporaryDirectory();
  const source = new DirectorySource(directory, directory);
  const store = new PolicyStore({ source, rules: rulesWith(), log: pino({ level: 'silent' }) });
  const ended = new AbortController();
  await store.start(ended.signal);
  assert.ok(!('source' in store.current));
  ended.abort();
});
