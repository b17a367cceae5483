import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { temporaryDirectory } from './fixtures.ts';
import { Repository, sourceOf, told } from './repository.ts';

/** In the place of ssh: notes its arguments, one a line, and runs the command here. */
const programs = temporaryDirectory();
const noted = path.join(programs, 'noted');
const realPath = process.env.PATH;

before(() => {
  const program = `#!/bin/sh\nprintf '%s\\n' "$@" > '${noted}'\nfor command; do :; done\nexec sh -c "$command"\n`;
  writeFileSync(path.join(programs, 'ssh'), program, { mode: 0o755 });
  process.env.PATH = `${programs}:${realPath}`;
});
after(() => {
  process.env.PATH = realPath;
});

describe('a repository by ssh', () => {
  test('is read with the key of a file, and no other, whatever characters are in its name', async () => {
    const repository = new Repository();
    repository.commit({ 'a.yaml': 'a' });
    const directory = path.join(temporaryDirectory(), "it's $(touch here)");
    const sshKeyFile = path.join(temporaryDirectory(), "the 'key'");
    writeFileSync(sshKeyFile, 'key');
    const source = sourceOf(`ssh://git@a.example.org${repository.root}`, { sshKeyFile, directory });
    assert.deepEqual(await told(source), { 'a.yaml': 'a' });
    const lines = readFileSync(noted, 'utf8').split('\n');
    assert.equal(lines[lines.indexOf('-i') + 1], sshKeyFile);
    assert.equal(lines[lines.indexOf('-F') + 1], 'none');
    for (const option of [
      'BatchMode=yes',
      'IdentitiesOnly=yes',
      'StrictHostKeyChecking=accept-new',
      `UserKnownHostsFile=${path.join(directory, 'known_hosts')}`,
      'git@a.example.org',
    ]) {
      assert.ok(lines.includes(option), option);
    }
    assert.ok(!existsSync('here'));
  });

  test('is held to the known hosts beside the key', async () => {
    const repository = new Repository();
    repository.commit({ 'a.yaml': 'a' });
    const folder = temporaryDirectory();
    const sshKeyFile = path.join(folder, 'identity');
    writeFileSync(sshKeyFile, 'key');
    writeFileSync(path.join(folder, 'known_hosts'), '');
    const source = sourceOf(`git@a.example.org:${repository.root}`, { sshKeyFile });
    assert.deepEqual(await told(source), { 'a.yaml': 'a' });
    const lines = readFileSync(noted, 'utf8').split('\n');
    assert.ok(lines.includes('StrictHostKeyChecking=yes'));
    assert.ok(lines.includes(`UserKnownHostsFile=${path.join(folder, 'known_hosts')}`));
  });
});
