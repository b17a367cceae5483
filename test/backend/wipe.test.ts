import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  symlink,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { type Wiping, wipe, wipeHere } from '../../src/backend/wipe.ts';
import { wipeScript } from '../../src/backend/wipe-script.ts';
import { StartFailedError } from '../../src/errors.ts';
import { temporaryFolder } from '../reconcile/harness.ts';

const never = new AbortController().signal;
const root = process.getuid?.() === 0;
const asRoot = { skip: !root && 'needs root' };
/** Nobody has this one. */
const uid = 265_432;

/** A home with these files, and something beside it that must stay as it is. */
async function homeWith(files: Readonly<Record<string, string>> = {}) {
  const place = await temporaryFolder();
  await chmod(place, 0o755);
  const home = path.join(place, 'home');
  const outside = path.join(place, 'outside');
  await mkdir(home);
  await mkdir(outside);
  await writeFile(path.join(outside, 'precious'), 'precious');
  for (const [file, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(home, file)), { recursive: true });
    await writeFile(path.join(home, file), text);
  }
  return { place, home, outside };
}

async function filesIn(folder: string): Promise<readonly string[]> {
  return (await readdir(folder, { recursive: true })).sort();
}

const inPlace = (home: string, keep: readonly string[]) => wipe(home, keep, [wipeHere(home)], never);

test('with nothing to keep the home is gone, with all that is hidden in it', async () => {
  const { home, place } = await homeWith({ a: '1', '.b/.c': '2', '-rf': '3', 'd e/f\ng': '4', '*': '5' });
  await inPlace(home, []);
  assert.deepEqual(await readdir(place), ['outside']);
  await inPlace(home, []);
});

test('what is kept stays as it was, whole, and nothing beside it', async () => {
  const { home } = await homeWith({
    notes: 'n',
    notes2: 'x',
    '.config/git/config': 'g',
    '.config/git/deep/er': 'g',
    '.config/other': 'x',
    'a/b/c/kept': 'k',
    'a/b/c2': 'x',
    'a/b2/c/kept': 'x',
    'whole/of/it': 'w',
  });
  await chmod(path.join(home, 'notes'), 0o440);
  await inPlace(home, ['notes', '.config/git/', 'a/b/c', 'whole', 'whole/of', 'missing/path']);
  assert.deepEqual(await filesIn(home), [
    '.config',
    '.config/git',
    '.config/git/config',
    '.config/git/deep',
    '.config/git/deep/er',
    'a',
    'a/b',
    'a/b/c',
    'a/b/c/kept',
    'notes',
    'whole',
    'whole/of',
    'whole/of/it',
  ]);
  assert.equal((await lstat(path.join(home, 'notes'))).mode & 0o777, 0o440);
});

test('no link is followed, wherever it leads and whatever it is called', async () => {
  const { home, outside } = await homeWith({ 'kept/file': 'k' });
  await symlink(outside, path.join(home, 'folder'));
  await symlink('../outside', path.join(home, 'relative'));
  await symlink(path.join(outside, 'precious'), path.join(home, 'file'));
  await symlink(home, path.join(home, 'itself'));
  await symlink('/etc', path.join(home, 'etc'));
  await inPlace(home, ['kept']);
  assert.deepEqual(await filesIn(home), ['kept', 'kept/file']);
  assert.equal(await readFile(path.join(outside, 'precious'), 'utf8'), 'precious');
});

test('a path to keep that leads through a link keeps nothing, and reaches nothing behind the link', async () => {
  const { home, outside } = await homeWith();
  await mkdir(path.join(outside, 'kept'));
  await symlink(outside, path.join(home, 'link'));
  await inPlace(home, ['link/kept']);
  await assert.rejects(lstat(home), { code: 'ENOENT' });
  assert.deepEqual(await filesIn(outside), ['kept', 'precious']);
});

test('a path to keep that is a link itself stays a link, and what it leads to is none of ours', async () => {
  const { home, outside } = await homeWith({ 'inside/file': 'x' });
  await symlink(outside, path.join(home, 'out'));
  await symlink('inside', path.join(home, 'in'));
  await inPlace(home, ['out', 'in']);
  assert.deepEqual(await readdir(home), ['in', 'out']);
  assert.equal(await readlink(path.join(home, 'in')), 'inside');
  assert.deepEqual(await readdir(outside), ['precious']);
});

test('a file where a path to keep has a folder is no such path', async () => {
  const { home } = await homeWith({ cache: 'a file' });
  await inPlace(home, ['cache/models']);
  await assert.rejects(lstat(home), { code: 'ENOENT' });
});

test('names to keep are names, no patterns and no words of a shell', async () => {
  const odd = [
    '*',
    '?',
    '[ab]',
    "it's",
    '$(touch x)',
    '`touch y`',
    '-delete',
    'a b',
    'back\\slash',
    '"',
    '!',
    '(',
  ];
  const { home } = await homeWith(Object.fromEntries([...odd, 'a', 'b', 'x1'].map((name) => [name, ''])));
  await inPlace(home, odd);
  assert.deepEqual(await readdir(home), [...odd].sort());
});

test('folders that may not be written or entered are emptied', async () => {
  const { home } = await homeWith({ 'locked/in/file': '', 'kept/in/file': '', 'kept/locked/file': '' });
  for (const folder of ['locked/in', 'locked', 'kept/locked', 'kept'])
    await chmod(path.join(home, folder), 0);
  if (root) execFileSync('chown', ['-R', `${uid}:${uid}`, home]);
  await wipe(home, ['kept/in'], [wipeHere(home, root ? uid : undefined)], never);
  await chmod(path.join(home, 'kept'), 0o700);
  assert.deepEqual(await filesIn(home), ['kept', 'kept/in', 'kept/in/file']);
});

test('names that are no text, and folders deeper than a path can say, are removed', async () => {
  const { home } = await homeWith();
  const nest = 'for (let i = 0; i < 1500; i += 1) { fs.mkdirSync("deeper"); process.chdir("deeper"); }';
  execFileSync(process.execPath, ['-e', nest], { cwd: home });
  execFileSync('sh', ['-c', `touch "$(printf '\\377\\376')"`], { cwd: home });
  await inPlace(home, []);
  await assert.rejects(lstat(home), { code: 'ENOENT' });
});

test(
  'what its user can not remove is left for who comes next, and kept is kept by both',
  asRoot,
  async () => {
    const { home } = await homeWith({ own: '', 'kept/file': '' });
    execFileSync('chown', ['-R', `${uid}:${uid}`, home]);
    await mkdir(path.join(home, 'of-root', 'deep'), { recursive: true });
    await writeFile(path.join(home, 'of-root', 'deep', 'file'), '');
    await writeFile(path.join(home, 'kept', 'of-root'), '');
    const left: (readonly string[])[] = [];
    const look: Wiping = async () => {
      left.push((await readdir(home)).sort());
      return ['not yet'];
    };
    await wipe(home, ['kept'], [wipeHere(home, uid), look, wipeHere(home)], never);
    assert.deepEqual(left, [['kept', 'of-root']]);
    assert.deepEqual(await filesIn(home), ['kept', 'kept/file', 'kept/of-root']);
  },
);

test('what nobody could remove is said, and nothing is said to be empty', asRoot, async () => {
  const { home } = await homeWith({ 'of-root/file': '' });
  await chown(home, uid, uid);
  await assert.rejects(wipe(home, [], [wipeHere(home, uid)], never), (error) => {
    assert.ok(error instanceof StartFailedError);
    assert.match(error.message, /can't be emptied.*of-root/);
    return true;
  });
  assert.deepEqual(await filesIn(home), ['of-root', 'of-root/file']);
});

test('a home that is a link or a file is refused', async () => {
  const { place, outside } = await homeWith();
  const link = path.join(place, 'link');
  await symlink(outside, link);
  await writeFile(path.join(place, 'file'), '');
  for (const home of [link, path.join(place, 'file')])
    await assert.rejects(inPlace(home, []), StartFailedError);
  assert.deepEqual(await readdir(outside), ['precious']);
});

test('a folder that is exchanged for a link all the time leads nowhere', async () => {
  const { home, outside } = await homeWith();
  await mkdir(path.join(outside, 'kept'));
  const swapping = `while :; do
    mkdir -p a/kept a/x 2>/dev/null; mv a b 2>/dev/null; ln -s "$1" a 2>/dev/null; rm -f a; mv b a 2>/dev/null
  done`;
  const swap = execFile('sh', ['-c', swapping, 'swap', outside], { cwd: home });
  try {
    for (let round = 0; round < 30; round += 1) {
      await wipe(home, ['a/kept'], [wipeHere(home)], never).catch((error: unknown) =>
        assert.ok(error instanceof Error),
      );
      if (!(await lstat(home).catch(() => null))) break;
    }
  } finally {
    swap.kill('SIGKILL');
  }
  assert.deepEqual(await filesIn(outside), ['kept', 'precious']);
});

test('the script is the same for the same paths, however they are ordered', () => {
  assert.match(wipeScript(['a/b', 'a']), /^level 'a'|level '' ! -name 'a'\n/m);
  assert.equal(wipeScript(['a', 'a/b']), wipeScript(['a/b', 'a']));
});
