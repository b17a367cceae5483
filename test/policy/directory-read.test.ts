import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { DirectorySource, readPaths } from '../../src/policy/directory.ts';
import { temporaryDirectory } from './fixtures.ts';

/** Writes files below a new directory; folders are made. */
function directoryOf(files: Readonly<Record<string, string | Buffer>>): string {
  const root = temporaryDirectory();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), text);
  }
  return root;
}

async function read(directory: string, cwd = directory) {
  const files = await new DirectorySource(directory, cwd).read();
  return 'unavailable' in files ? assert.fail(files.unavailable) : files;
}

/** Path → text, or the reason why there is none. */
async function told(directory: string): Promise<Readonly<Record<string, string>>> {
  const files = await read(directory);
  return Object.fromEntries(
    files.map((file) => [file.path, 'text' in file ? file.text : `unreadable: ${file.unreadable}`]),
  );
}

describe('the files of a directory', () => {
  test('are those that end in .yaml or .yml, at any depth, in the order of their paths', async () => {
    const root = directoryOf({
      'b.yml': 'b',
      'a.yaml': 'a',
      'team/x/c.yaml': 'c',
      'README.md': 'no',
      'd.yaml~': 'no',
      'e.yaml.bak': 'no',
      'f.YAML': 'no',
      yaml: 'no',
    });
    assert.deepEqual(
      (await read(root)).map((file) => file.path),
      ['a.yaml', 'b.yml', 'team/x/c.yaml'],
    );
  });

  test('are not those that are hidden, nor below what is', async () => {
    const root = directoryOf({
      '.a.yaml': 'no',
      '.git/b.yaml': 'no',
      '..2024/c.yaml': 'no',
      '.#d.yaml': 'no',
      'e.yaml': 'e',
    });
    assert.deepEqual(await told(root), { 'e.yaml': 'e' });
  });

  test('are none in an empty directory, which is no problem', async () => {
    assert.deepEqual(await told(directoryOf({})), {});
  });

  test('are found through links, and a loop of links ends', async () => {
    const root = directoryOf({ 'real/a.yaml': 'a', 'here/b.yaml': 'b' });
    const linked = path.join(root, 'here');
    symlinkSync(path.join(root, 'real'), path.join(linked, 'there'));
    symlinkSync('.', path.join(linked, 'loop'));
    symlinkSync('b.yaml', path.join(linked, 'c.yaml'));
    assert.deepEqual(await told(linked), { 'b.yaml': 'b', 'c.yaml': 'b', 'there/a.yaml': 'a' });
  });

  test('are below a folder that is named like a file, too', async () => {
    assert.deepEqual(await told(directoryOf({ 'x.yaml/a.yaml': 'a' })), { 'x.yaml/a.yaml': 'a' });
  });

  test('are named relative to the working directory below which they are, and in full elsewhere', async () => {
    const root = directoryOf({ 'policies/a.yaml': 'a' });
    const policies = path.join(root, 'policies');
    assert.deepEqual(
      (await read(policies, root)).map((file) => file.path),
      ['policies/a.yaml'],
    );
    assert.deepEqual(
      (await read(policies, '/nowhere')).map((file) => file.path),
      [path.join(policies, 'a.yaml')],
    );
    assert.equal(new DirectorySource('policies', root).description, 'directory policies');
    assert.equal(new DirectorySource('.', root).description, 'directory .');
  });
});

describe('a file that can not be read is told with its reason:', () => {
  test('a link that leads nowhere', async () => {
    const root = directoryOf({ 'b.yaml': 'b' });
    symlinkSync('nowhere', path.join(root, 'a.yaml'));
    symlinkSync('c.yaml', path.join(root, 'c.yaml'));
    assert.deepEqual(Object.keys(await told(root)), ['a.yaml', 'b.yaml', 'c.yaml']);
    const { 'a.yaml': a, 'b.yaml': b, 'c.yaml': c } = await told(root);
    assert.equal(a, 'unreadable: it does not exist');
    assert.equal(b, 'b');
    assert.match(String(c), /^unreadable: /);
  });

  test('bytes that are no text', async () => {
    const root = directoryOf({ 'a.yaml': Buffer.from([0x61, 0xff, 0xfe, 0x00]), 'b.yaml': 'b' });
    assert.deepEqual(await told(root), {
      'a.yaml': 'unreadable: the file is binary (not UTF-8 text)',
      'b.yaml': 'b',
    });
  });

  test('10 MB', async () => {
    const root = directoryOf({ 'a.yaml': Buffer.alloc(10_000_000, 'x') });
    assert.deepEqual(await told(root), {
      'a.yaml': 'unreadable: the file has 9.5 MiB, more than the 1 MiB a policy file may have',
    });
  });

  test('a pipe, which would never end', async () => {
    const root = directoryOf({});
    execFileSync('mkfifo', [path.join(root, 'a.yaml')]);
    assert.deepEqual(await told(root), { 'a.yaml': 'unreadable: it is not a regular file' });
  });

  const readsAll = process.getuid?.() === 0;
  test('one without permission', { skip: readsAll && 'root may read every file' }, async () => {
    const root = directoryOf({ 'a.yaml': 'a' });
    chmodSync(path.join(root, 'a.yaml'), 0);
    assert.deepEqual(await told(root), { 'a.yaml': 'unreadable: permission denied' });
  });
});

describe('a directory that can not be read is out of reach as a whole:', () => {
  async function unavailable(directory: string, cwd: string): Promise<string> {
    const files = await new DirectorySource(directory, cwd).read();
    return 'unavailable' in files ? files.unavailable : assert.fail('it was read');
  }

  test('it is not there, so that nobody can have declared anything', async () => {
    assert.deepEqual(await new DirectorySource('policies', temporaryDirectory()).read(), {
      unavailable: "the directory policies can't be read: it does not exist",
      absent: true,
    });
  });

  test('it is a file', async () => {
    const root = directoryOf({ policies: 'x' });
    assert.equal(
      await unavailable('policies', root),
      "the directory policies can't be read: it is not a directory",
    );
  });

  test('and is read again when it is back', async () => {
    const root = directoryOf({ 'policies/a.yaml': 'a' });
    const source = new DirectorySource('policies', root);
    const moved = path.join(root, 'moved');
    renameSync(path.join(root, 'policies'), moved);
    assert.ok('unavailable' in (await source.read()));
    renameSync(moved, path.join(root, 'policies'));
    assert.deepEqual(await source.read(), [{ path: 'policies/a.yaml', text: 'a' }]);
  });
});

describe('given paths', () => {
  test('are files of any name, and directories, in the order given', async () => {
    const root = directoryOf({ 'policy.txt': 'p', 'dir/a.yaml': 'a', 'dir/b.txt': 'no' });
    assert.deepEqual(await readPaths(['policy.txt', 'dir'], root), [
      { path: 'policy.txt', text: 'p' },
      { path: 'dir/a.yaml', text: 'a' },
    ]);
  });

  test('that name a file twice have it once', async () => {
    const root = directoryOf({ 'dir/a.yaml': 'a', 'dir/b.yaml': 'b' });
    const paths = ['dir', 'dir/a.yaml', './dir/b.yaml', path.join(root, 'dir')];
    assert.deepEqual(await readPaths(paths, root), [
      { path: 'dir/a.yaml', text: 'a' },
      { path: 'dir/b.yaml', text: 'b' },
    ]);
  });

  test('that are not there are files that can not be read', async () => {
    assert.deepEqual(await readPaths(['nowhere.yaml'], temporaryDirectory()), [
      { path: 'nowhere.yaml', unreadable: 'it does not exist' },
    ]);
  });

  test('may be binary or too large, too', async () => {
    const root = directoryOf({ a: Buffer.from([0xff]), b: Buffer.alloc(2_000_000, 'x') });
    const files = await readPaths(['a', 'b'], root);
    assert.ok(files.every((file) => 'unreadable' in file));
  });
});
