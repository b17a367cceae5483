import assert from 'node:assert/strict';
import { existsSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import pino from 'pino';
import type { PolicySet } from '../../src/policy/policy.ts';
import { PolicyStore } from '../../src/policy/store.ts';
import { policyOf, policyText, problemsOf, rulesWith, temporaryDirectory, until } from './fixtures.ts';
import { Repository, sourceOf, told } from './repository.ts';

describe('the files of a repository', { concurrency: 2 }, () => {
  test('are those of a folder at a branch, at any depth, nothing hidden, with the commit as revision', async () => {
    const repository = new Repository();
    const head = repository.commit({
      'policies/a.yaml': 'a',
      'policies/team/b.yml': 'b',
      'policies/README.md': 'no',
      'policies/.hidden.yaml': 'no',
      'policies/.github/c.yaml': 'no',
      'other.yaml': 'no',
    });
    const source = sourceOf(`${repository.url}#main:policies`);
    assert.equal(source.revision, null);
    assert.deepEqual(await told(source), { 'policies/a.yaml': 'a', 'policies/team/b.yml': 'b' });
    assert.equal(source.revision, head);
    assert.equal(source.description, `Git repository ${repository.url}#main:policies`);
  });

  test('are those of the default branch where none is named', async () => {
    const repository = new Repository();
    repository.commit({ 'a.yaml': 'a', 'sub/b.yaml': 'b' });
    assert.deepEqual(await told(sourceOf(repository.url)), { 'a.yaml': 'a', 'sub/b.yaml': 'b' });
    assert.deepEqual(await told(sourceOf(`${repository.url}:sub`)), { 'sub/b.yaml': 'b' });
  });

  test('may be those of a tag, plain or annotated, of a commit, or of another branch', async () => {
    const repository = new Repository();
    const first = repository.commit({ 'a.yaml': '1' });
    repository.git('tag', 'plain');
    repository.git('tag', '-a', 'v1.0', '-m', 'one');
    repository.git('branch', 'team/x');
    repository.commit({ 'a.yaml': '2' });
    repository.git('config', 'uploadpack.allowAnySHA1InWant', 'true');
    for (const ref of ['plain', 'v1.0', 'team/x', 'refs/heads/team/x', first]) {
      const source = sourceOf(`${repository.url}#${ref}`);
      assert.deepEqual(await told(source), { 'a.yaml': '1' }, ref);
      assert.equal(source.revision, first);
    }
  });

  test('of a branch come before those of a tag of that name', async () => {
    const repository = new Repository();
    repository.commit({ 'a.yaml': 'tag' });
    repository.git('tag', 'x');
    repository.commit({ 'a.yaml': 'branch' });
    repository.git('branch', 'x');
    assert.deepEqual(await told(sourceOf(`${repository.url}#x`)), { 'a.yaml': 'branch' });
  });

  for (const [what, ref, words] of [
    ['a branch that is not there', 'nowhere', /can't be read: there is no branch or tag "nowhere"/],
    [
      'a folder that is not there',
      'main:nowhere',
      /can't be read: there is no folder "nowhere" in [0-9a-f]{12}/,
    ],
    ['a folder that is a file', 'main:a.yaml', /there is no folder "a\.yaml"/],
  ] as const) {
    test(`of ${what} are out of reach`, async () => {
      const repository = new Repository();
      repository.commit({ 'a.yaml': 'a' });
      assert.match((await told(sourceOf(`${repository.url}#${ref}`))).unavailable ?? '', words);
    });
  }

  test('of an empty repository, and of none, are out of reach', async () => {
    assert.match((await told(sourceOf(new Repository().url))).unavailable ?? '', /has no commit yet/);
    const nowhere = path.join(temporaryDirectory(), 'nowhere');
    assert.match((await told(sourceOf(`file://${nowhere}`))).unavailable ?? '', /nowhere.*does not/);
  });
});

describe('a new commit', () => {
  test('is read, also after a force push, and what was before it is not kept', async () => {
    const repository = new Repository();
    const directory = path.join(temporaryDirectory(), 'git');
    const source = sourceOf(`${repository.url}#main`, { directory });
    const first = repository.commit({ 'a.yaml': '1' });
    assert.deepEqual(await told(source), { 'a.yaml': '1' });
    const files = await source.read();
    assert.equal(await source.read(), files, 'the same commit gives the same files');
    repository.commit({ 'a.yaml': '2', 'b.yaml': 'b' });
    assert.deepEqual(await told(source), { 'a.yaml': '2', 'b.yaml': 'b' });
    repository.git('reset', '--quiet', '--hard', first);
    const forced = repository.commit({ 'a.yaml': '3' });
    assert.deepEqual(await told(source), { 'a.yaml': '3' });
    assert.equal(source.revision, forced);
    assert.deepEqual(readdirSync(directory).sort(), [forced, 'good.json'].sort());
    assert.equal(
      repository.git('--git-dir', path.join(directory, forced), 'rev-list', '--all', '--count'),
      '1',
    );
  });

  test('is looked for once by many who ask at the same time', async () => {
    const repository = new Repository();
    repository.commit({ 'a.yaml': '1' });
    const source = sourceOf(repository.url);
    const all = await Promise.all(Array.from({ length: 10 }, () => told(source)));
    assert.deepEqual(new Set(all.map((one) => JSON.stringify(one))), new Set(['{"a.yaml":"1"}']));
    repository.commit({ 'a.yaml': '2' });
    await source.refresh();
    assert.equal(source.revision, repository.head);
  });

  test('is taken by two processes with one directory', async () => {
    const repository = new Repository();
    repository.commit({ 'a.yaml': '1' });
    const directory = path.join(temporaryDirectory(), 'git');
    const both = [sourceOf(repository.url, { directory }), sourceOf(repository.url, { directory })];
    for (const text of ['2', '3']) {
      repository.commit({ 'a.yaml': text });
      for (const files of await Promise.all(both.map(told))) assert.deepEqual(files, { 'a.yaml': text });
    }
  });
});

describe('while the repository is out of reach', () => {
  const away = async (act: (repository: Repository) => void) => {
    const repository = new Repository();
    const head = repository.commit({ 'a.yaml': '1' });
    const directory = path.join(temporaryDirectory(), 'git');
    const source = sourceOf(`${repository.url}#main`, { directory });
    await source.read();
    act(repository);
    return { repository, head, directory, source, problem: `${repository.url}#main` };
  };

  for (const [what, act, words] of [
    ['it is gone', ({ root }: Repository) => renameSync(root, `${root}.away`), /does not/],
    [
      'the branch is gone',
      (one: Repository) => void one.git('branch', '-m', 'main', 'x'),
      /no branch or tag/,
    ],
    [
      'the folder is a broken repository',
      ({ root }: Repository) => renameSync(`${root}/.git/HEAD`, `${root}/H`),
      /./,
    ],
  ] as const) {
    test(`since ${what} the last good commit stays, with a problem that says so`, async () => {
      const { source, head, problem } = await away(act);
      const { [problem]: trouble = '', ...files } = await told(source);
      assert.deepEqual(files, { 'a.yaml': '1' });
      assert.match(trouble, words);
      assert.equal(source.revision, head);
    });
  }

  test('a start takes up the last good commit', async () => {
    const { problem, directory } = await away(({ root }) => renameSync(root, `${root}.away`));
    const { [problem]: trouble, ...files } = await told(sourceOf(problem, { directory }));
    assert.deepEqual(files, { 'a.yaml': '1' });
    assert.match(trouble ?? '', /^unreadable: /);
  });

  test('a start with another repository or ref does not take up that commit', async () => {
    const { problem, directory } = await away(({ root }) => renameSync(root, `${root}.away`));
    assert.match(
      (await told(sourceOf(problem.replace('main', 'x'), { directory }))).unavailable ?? '',
      /can't/,
    );
  });

  test('a start with a damaged store asks the repository', async () => {
    const { problem, directory, repository, head } = await away(() => undefined);
    renameSync(path.join(directory, head, 'objects'), path.join(directory, head, 'gone'));
    repository.commit({ 'a.yaml': '2' });
    assert.deepEqual(await told(sourceOf(problem, { directory })), { 'a.yaml': '2' });
    writeFileSync(path.join(directory, 'good.json'), '{"id": "../../x", "from": 1');
    assert.deepEqual(await told(sourceOf(problem, { directory })), { 'a.yaml': '2' });
  });

  test('nothing is left over of an attempt', async () => {
    const { source, directory, head } = await away(({ root }) =>
      renameSync(`${root}/.git/objects`, `${root}/o`),
    );
    await source.read();
    assert.deepEqual(readdirSync(directory).sort(), [head, 'good.json'].sort());
  });

  test('and it is back, the problem is gone', async () => {
    const { repository, source } = await away(({ root }) => renameSync(root, `${root}.away`));
    await source.read();
    renameSync(`${repository.root}.away`, repository.root);
    repository.commit({ 'a.yaml': '2' });
    assert.deepEqual(await told(source), { 'a.yaml': '2' });
  });
});

test('a store that follows a repository: a broken commit changes nothing, the good one after it does', async () => {
  const repository = new Repository();
  repository.commit({ 'a.yaml': policyText('a', 'image: a:1'), 'b.yaml': policyText('b', 'image: b:1') });
  const source = sourceOf(`${repository.url}#main`, { intervalMs: 50 });
  const store = new PolicyStore({ source, rules: rulesWith(), log: pino({ level: 'silent' }) });
  const changes: PolicySet[] = [];
  store.onChange((next) => changes.push(next));
  const ended = new AbortController();
  await store.start(ended.signal);
  assert.equal(store.current.source, repository.head);
  const at = (commit: string) => until(`the store is at ${commit}`, () => store.current.source === commit);

  const broken = repository.commit({ 'a.yaml': policyText('a', 'image: A B'), 'b.yaml': 'kind: [' });
  await at(broken);
  assert.equal(policyOf(store.current, 'a').spec.image, 'a:1');
  assert.equal(policyOf(store.current, 'b').spec.image, 'b:1');
  assert.match(problemsOf(store.current).join('\n'), /^a\.yaml:6:10: error: spec\.image/);

  const good = repository.commit({ 'a.yaml': policyText('a', 'image: a:2'), 'b.yaml': null });
  await at(good);
  assert.equal(policyOf(store.current, 'a').spec.image, 'a:2');
  assert.deepEqual([...store.current.policies.keys()], ['a', 'default']);
  assert.deepEqual(problemsOf(store.current), []);
  assert.equal(changes.length, 1);

  renameSync(repository.root, `${repository.root}.away`);
  await until('the outage is a problem', () => store.current.problems.length > 0);
  assert.match(
    problemsOf(store.current).join(),
    new RegExp(`error: .*\\(the policies of commit ${good.slice(0, 12)} stay as they are\\)$`),
  );
  assert.equal(store.current.source, good);
  assert.equal(changes.length, 1);
  ended.abort();
});

test('a store whose repository was never reached has no policy, not even the built-in one, and no commit', async () => {
  const source = sourceOf(`file://${path.join(temporaryDirectory(), 'nowhere')}`);
  const store = new PolicyStore({ source, rules: rulesWith(), log: pino({ level: 'silent' }) });
  await store.start(new AbortController().signal);
  assert.deepEqual([...store.current.policies.keys()], []);
  assert.equal(store.current.source, undefined);
  assert.match(problemsOf(store.current).join(), /no policy is in force until it can be read/);
});

test('a store that begins while the repository is out of reach knows by the last good commit that nobody declared a default', async () => {
  const repository = new Repository();
  repository.commit({ 'a.yaml': policyText('a') });
  const directory = path.join(temporaryDirectory(), 'git');
  await sourceOf(repository.url, { directory }).read();
  renameSync(repository.root, `${repository.root}.away`);
  const source = sourceOf(repository.url, { directory });
  const store = new PolicyStore({ source, rules: rulesWith(), log: pino({ level: 'silent' }) });
  await store.start(new AbortController().signal);
  assert.deepEqual([...store.current.policies.keys()], ['a', 'default']);
  assert.equal(store.current.problems.length, 1);
});

test('the store is for this user alone, and the folders above it are left to others', async () => {
  const repository = new Repository();
  repository.commit({ 'a.yaml': 'a' });
  const directory = path.join(temporaryDirectory(), 'own', 'git');
  await sourceOf(repository.url, { directory }).read();
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  assert.notEqual(statSync(path.dirname(directory)).mode & 0o055, 0);
});

test('a directory that can not be written is out of reach, with its reason', async () => {
  const repository = new Repository();
  repository.commit({ 'a.yaml': 'a' });
  const file = path.join(temporaryDirectory(), 'file');
  writeFileSync(file, '');
  assert.match(
    (await told(sourceOf(repository.url, { directory: file }))).unavailable ?? '',
    /can't be read: .*file/,
  );
  assert.ok(existsSync(file));
});
