import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { temporaryDirectory } from './fixtures.ts';
import { Repository, signersFile, sourceOf, sshKey, told, without } from './repository.ts';

const noSsh = await without('ssh-keygen', '-V');

/** Has a program of the PATH end otherwise the next time it is called with such words, and from then on be as it is. */
function once(program: string, words: string, instead: string): { readonly happened: () => boolean } {
  const folder = temporaryDirectory();
  const real = execFileSync('which', [program], { encoding: 'utf8' }).trim();
  const flag = path.join(folder, 'happened');
  const script = `case "$*" in *'${words}'*) [ -e '${flag}' ] || { : > '${flag}'; ${instead}; } ;; esac`;
  writeFileSync(path.join(folder, program), `#!/bin/sh\n${script}\nexec '${real}' "$@"\n`, { mode: 0o755 });
  process.env.PATH = `${folder}:${process.env.PATH}`;
  return { happened: () => existsSync(flag) };
}

describe('a commit that could not be looked at is looked at again', { skip: noSsh }, () => {
  for (const [what, program, words, instead, said] of [
    ['git was killed over the signature', 'git', 'verify-commit', 'kill -9 $$', /ended by signal SIGKILL/],
    ['ssh-keygen was killed', 'ssh-keygen', 'verify', 'kill -9 $$', /died of signal 9/],
    ['git was killed over the folder', 'git', 'cat-file -t', 'kill -9 $$', /ended by signal SIGKILL/],
    [
      'git had no memory for the folder',
      'git',
      'cat-file -t',
      'echo "fatal: Out of memory, malloc failed" >&2; exit 128',
      /Out of memory/,
    ],
    ['git was killed over the list', 'git', 'ls-tree', 'kill -9 $$', /ended by signal SIGKILL/],
    ['git was killed over the files', 'git', 'cat-file --batch', 'kill -9 $$', /ended by signal SIGKILL/],
  ] as const) {
    test(`after ${what}`, async () => {
      const key = sshKey();
      const repository = new Repository();
      repository.commit({ 'policies/a.yaml': 'a' }, ...key.sign);
      const source = sourceOf(`${repository.url}#main:policies`, { verifyFile: signersFile(key.line) });
      const { happened } = once(program, words, instead);
      assert.match((await told(source)).unavailable ?? '', said);
      assert.ok(happened());
      assert.deepEqual(await told(source), { 'policies/a.yaml': 'a' });
    });
  }

  test('which one that may not be taken is not', async () => {
    const repository = new Repository();
    repository.commit({ 'a.yaml': 'a' });
    const source = sourceOf(repository.url, { verifyFile: signersFile(sshKey().line) });
    assert.match((await told(source)).unavailable ?? '', /is not signed by one of those/);
    const { happened } = once('git', 'fetch', 'true');
    assert.match((await told(source)).unavailable ?? '', /is not signed by one of those/);
    assert.ok(!happened());
  });
});
