import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { GitError, runGit } from '../../src/policy/git-program.ts';
import { temporaryDirectory } from './fixtures.ts';
import { Repository, sourceOf, told } from './repository.ts';

describe('a hostile repository', { concurrency: 2 }, () => {
  test('has links that are not followed, be they of files or of folders', async () => {
    const repository = new Repository();
    const secret = path.join(temporaryDirectory(), 'secret.yaml');
    writeFileSync(secret, 'secret');
    symlinkSync(secret, path.join(repository.root, 'a.yaml'));
    symlinkSync('b.yaml', path.join(repository.root, 'inside.yaml'));
    symlinkSync(path.dirname(secret), path.join(repository.root, 'folder'));
    repository.commit({ 'b.yaml': 'b' });
    const link = 'unreadable: it is a symbolic link, which is not followed in a repository';
    assert.deepEqual(await told(sourceOf(repository.url)), {
      'a.yaml': link,
      'b.yaml': 'b',
      'inside.yaml': link,
    });
    assert.match(
      (await told(sourceOf(`${repository.url}:folder`))).unavailable ?? '',
      /there is no folder "folder"/,
    );
  });

  test('has submodules that are not fetched', async () => {
    const repository = new Repository();
    const inner = new Repository();
    const id = inner.commit({ 'c.yaml': 'c' });
    writeFileSync(
      path.join(repository.root, '.gitmodules'),
      `[submodule "x"]\n path = x\n url = ${inner.url}\n`,
    );
    repository.commit({ 'a.yaml': 'a' });
    repository.git('update-index', '--add', '--cacheinfo', `160000,${id},x`);
    repository.git('update-index', '--add', '--cacheinfo', `160000,${id},y.yaml`);
    repository.git('commit', '--quiet', '-m', 'submodule');
    assert.deepEqual(await told(sourceOf(repository.url)), { 'a.yaml': 'a' });
  });

  test('has hooks, filters and attributes that do not run', async () => {
    const repository = new Repository();
    const trace = path.join(temporaryDirectory(), 'ran');
    for (const hook of [
      'post-checkout',
      'post-merge',
      'reference-transaction',
      'post-update',
      'pre-auto-gc',
    ]) {
      const file = path.join(repository.root, '.git', 'hooks', hook);
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(file, `#!/bin/sh\necho ${hook} >> ${trace}.${hook}\n`);
    }
    repository.commit({ 'a.yaml': 'a', '.gitattributes': '*.yaml filter=evil\n' });
    for (const hook of ['post-checkout', 'post-merge', 'post-update']) {
      chmodSync(path.join(repository.root, '.git', 'hooks', hook), 0o755);
    }
    repository.git('config', 'filter.evil.smudge', `touch ${trace}.filter; cat`);
    assert.deepEqual(await told(sourceOf(repository.url)), { 'a.yaml': 'a' });
    for (const what of ['post-checkout', 'post-merge', 'post-update', 'filter']) {
      assert.ok(!existsSync(`${trace}.${what}`), what);
    }
  });

  test('has a policy file that is far too large, or binary: a problem of that file alone', async () => {
    const repository = new Repository();
    repository.commit({
      'a.yaml': 'a',
      'large.yaml': 'x'.repeat(2 * 1024 * 1024),
      'binary.yaml': Buffer.from([0xff, 0xfe]),
      'new\nline.yaml': 'n',
    });
    assert.deepEqual(await told(sourceOf(repository.url)), {
      'a.yaml': 'a',
      'binary.yaml': 'unreadable: the file is binary (not UTF-8 text)',
      'large.yaml': 'unreadable: the file has 2.0 MiB, more than the 1 MiB a policy file may have',
      'new\ufffdline.yaml': 'n',
    });
  });

  test('has far too many policy files: the last good commit stays', async () => {
    const repository = new Repository();
    repository.commit({ 'a.yaml': 'a' });
    const source = sourceOf(repository.url);
    await source.read();
    const blob = repository.git('hash-object', '-w', 'a.yaml');
    const lines = Array.from({ length: 5_001 }, (_, index) => `100644 blob ${blob}\tf${index}.yaml`);
    pushTree(repository, lines);
    const { [repository.url]: trouble, ...files } = await told(source);
    assert.deepEqual(files, { 'a.yaml': 'a' });
    assert.match(trouble ?? '', /there are more than 5000 policy files in it/);
  });

  test('has a tree that unfolds to billions of files: it ends soon', async () => {
    const repository = new Repository();
    repository.commit({ 'a.yaml': 'a' });
    const blob = repository.git('hash-object', '-w', 'a.yaml');
    let tree = makeTree(
      repository,
      Array.from({ length: 10 }, (_, index) => `100644 blob ${blob}\tf${index}.yaml`),
    );
    for (let level = 0; level < 9; level += 1) {
      tree = makeTree(
        repository,
        Array.from({ length: 10 }, (_, index) => `040000 tree ${tree}\td${index}`),
      );
    }
    repository.git('update-ref', 'refs/heads/main', repository.git('commit-tree', '-m', 'bomb', tree));
    const start = performance.now();
    assert.match((await told(sourceOf(repository.url))).unavailable ?? '', /git said more than a repository/);
    assert.ok(performance.now() - start < 10_000);
  });

  test('has more than may be stored: the fetch is ended', async () => {
    const repository = new Repository();
    const blobs = Array.from({ length: 8 }, (_, index) => [`blob${index}`, randomBytes(8 * 1024 * 1024)]);
    repository.commit({ 'a.yaml': 'a', ...Object.fromEntries(blobs) });
    const source = sourceOf(repository.url, { mostBytes: 1024 * 1024 });
    assert.match((await told(source)).unavailable ?? '', /the repository has more than 1 MiB/);
  });

  test('has names in its tree that no repository may have: it is refused', async () => {
    const repository = new Repository();
    repository.commit({ 'a.yaml': 'a' });
    const blob = repository.git('hash-object', '-w', 'a.yaml');
    const inner = makeTree(repository, [`100644 blob ${blob}\ta.yaml`]);
    const raw = Buffer.concat([Buffer.from('40000 ..\0'), Buffer.from(inner, 'hex')]);
    writeFileSync(path.join(repository.root, 'raw'), raw);
    const tree = repository.git('hash-object', '-t', 'tree', '-w', '--literally', 'raw');
    repository.git('update-ref', 'refs/heads/main', repository.git('commit-tree', '-m', 'x', tree));
    assert.match((await told(sourceOf(repository.url))).unavailable ?? '', /can't be read/);
  });
});

/** Trees are made in one go: by files it would take seconds. */
function makeTree(repository: Repository, lines: readonly string[]): string {
  const file = path.join(temporaryDirectory(), 'tree');
  writeFileSync(file, `${lines.join('\n')}\n`);
  return repository.git('-c', `alias.make=!git mktree < ${file}`, 'make');
}

function pushTree(repository: Repository, lines: readonly string[]): void {
  const tree = makeTree(repository, lines);
  repository.git('update-ref', 'refs/heads/main', repository.git('commit-tree', '-m', 'x', tree));
}

describe('the git program', () => {
  test('speaks the one protocol that was asked for, and no other', async () => {
    const repository = new Repository();
    repository.commit({ 'a.yaml': 'a' });
    const ask = (protocol?: string) =>
      runGit({ args: ['ls-remote', repository.url], timeoutMs: 10_000, ...(protocol ? { protocol } : {}) });
    assert.match(String(await ask('file')), /refs\/heads\/main/);
    for (const protocol of ['https', undefined]) {
      await assert.rejects(ask(protocol), /transport 'file' not allowed/);
    }
    const ext = { args: ['ls-remote', 'ext::sh -c true'], timeoutMs: 10_000, protocol: 'file' };
    await assert.rejects(runGit(ext), /transport 'ext' not allowed/);
  });

  test('that takes too long is ended with everything that it started', async () => {
    const args = ['-c', 'alias.wait=!sleep 60 & wait', 'wait'];
    const start = performance.now();
    await assert.rejects(runGit({ args, timeoutMs: 300 }), new GitError('git took longer than 0.3 s'));
    assert.ok(performance.now() - start < 10_000);
  });

  test('that is killed is said so', async () => {
    const args = ['-c', 'alias.die=!kill -9 $PPID', 'die'];
    await assert.rejects(
      runGit({ args, timeoutMs: 10_000 }),
      new GitError('git was ended by signal SIGKILL'),
    );
  });

  test('that is not there is said so', async () => {
    const before = process.env.PATH;
    process.env.PATH = '/nonexistent';
    try {
      await assert.rejects(runGit({ args: ['version'], timeoutMs: 10_000 }), /git program is not installed/);
    } finally {
      process.env.PATH = before;
    }
  });

  test('knows nothing of the surroundings', async () => {
    process.env.GIT_DIR = '/nonexistent';
    process.env.TERMINALS_API_KEY = 'secret-key';
    try {
      const output = await runGit({ args: ['-c', 'alias.env=!env', 'env'], timeoutMs: 10_000 });
      // In a linked work tree, git itself gives an alias the GIT_DIR of that.
      assert.doesNotMatch(String(output), /secret-key|GIT_DIR=\/nonexistent/);
    } finally {
      delete process.env.GIT_DIR;
      delete process.env.TERMINALS_API_KEY;
    }
  });
});
