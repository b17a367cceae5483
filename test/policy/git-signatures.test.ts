import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import pino from 'pino';
import { PolicyMemory } from '../../src/policy/policy-memory.ts';
import { PolicyStore } from '../../src/policy/store.ts';
import { HintFile } from '../../src/reconcile/hint-file.ts';
import { policyOf, policyText, problemsOf, rulesWith, temporaryDirectory } from './fixtures.ts';
import { Repository, signersFile, sourceOf, sshKey, told, without } from './repository.ts';

const noSsh = await without('ssh-keygen', '-V');
const noGpg = await without('gpg', '--version');

describe('commits signed by ssh', { skip: noSsh }, () => {
  test('are taken only from those whom the file names; others leave the last good one', async () => {
    const [known, stranger] = [sshKey(), sshKey()];
    const repository = new Repository();
    const first = repository.commit({ 'a.yaml': '1' }, ...known.sign);
    const verifyFile = signersFile(known.line);
    const directory = path.join(temporaryDirectory(), 'git');
    const source = sourceOf(repository.url, { verifyFile, directory });
    assert.deepEqual(await told(source), { 'a.yaml': '1' });

    for (const sign of [stranger.sign, []]) {
      const bad = repository.commit({ 'a.yaml': 'bad' }, ...sign);
      for (const one of [source, sourceOf(repository.url, { verifyFile, directory })]) {
        const { [repository.url]: trouble, ...files } = await told(one);
        assert.deepEqual(files, { 'a.yaml': '1' });
        assert.equal(
          trouble,
          `unreadable: the commit ${bad.slice(0, 12)} is not signed by one of those in ${verifyFile}`,
        );
        assert.equal(one.revision, first);
      }
    }
    repository.commit({ 'a.yaml': '2' }, ...known.sign);
    assert.deepEqual(await told(source), { 'a.yaml': '2' });
    assert.deepEqual(readdirSync(directory).sort(), [repository.head, 'good.json'].sort());
  });

  test('of somebody whom the file names later are taken then', async () => {
    const key = sshKey();
    const repository = new Repository();
    repository.commit({ 'a.yaml': '1' }, ...key.sign);
    const verifyFile = signersFile('');
    const source = sourceOf(repository.url, { verifyFile });
    assert.match((await told(source)).unavailable ?? '', /is not signed by one of those/);
    writeFileSync(verifyFile, key.line);
    utimesSync(verifyFile, new Date(), new Date(Date.now() + 5_000));
    assert.deepEqual(await told(source), { 'a.yaml': '1' });
  });

  test('of somebody whom the file names no more are not taken up by a start', async () => {
    const key = sshKey();
    const repository = new Repository();
    repository.commit({ 'a.yaml': '1' }, ...key.sign);
    const directory = path.join(temporaryDirectory(), 'git');
    const verifyFile = signersFile(key.line);
    await sourceOf(repository.url, { verifyFile, directory }).read();
    writeFileSync(verifyFile, sshKey().line);
    const files = await told(sourceOf(repository.url, { verifyFile, directory }));
    assert.match(files.unavailable ?? '', /is not signed by one of those/);
  });

  test('of somebody whom the file names no more stay in force, which is said, until another is there', async () => {
    const [known, mallory] = [sshKey(), sshKey()];
    const repository = new Repository();
    const first = repository.commit({ 'a.yaml': '1' }, ...mallory.sign);
    const verifyFile = signersFile(`${known.line}${mallory.line}`);
    const source = sourceOf(repository.url, { verifyFile });
    await source.read();
    writeFileSync(verifyFile, known.line);
    for (let look = 0; look < 2; look += 1) {
      const { [repository.url]: trouble, ...files } = await told(source);
      assert.deepEqual(files, { 'a.yaml': '1' });
      assert.match(trouble ?? '', new RegExp(`${first.slice(0, 12)} is not signed by one of those`));
    }
    rmSync(verifyFile);
    assert.match((await told(source))[repository.url] ?? '', /the signers .* can't be read \(ENOENT\)/);
    writeFileSync(verifyFile, known.line);
    repository.commit({ 'a.yaml': '2' }, ...known.sign);
    assert.deepEqual(await told(source), { 'a.yaml': '2' });
  });

  test('for another purpose than Git are not taken', async () => {
    const key = sshKey();
    const repository = new Repository();
    repository.commit({ 'a.yaml': '1' }, ...key.sign);
    const verifyFile = signersFile(key.line.replace('namespaces="git"', 'namespaces="file"'));
    assert.match((await told(sourceOf(repository.url, { verifyFile }))).unavailable ?? '', /is not signed/);
  });

  test('and a file of signers that is gone take nothing', async () => {
    const repository = new Repository();
    repository.commit({ 'a.yaml': '1' }, ...sshKey().sign);
    const source = sourceOf(repository.url, { verifyFile: '/nonexistent/signers' });
    assert.match((await told(source)).unavailable ?? '', /the signers .* can't be read \(ENOENT\)/);
  });
});

/** Starts of a server with its memory on one data directory, all of one repository. */
function server(url: string, verifyFile: string) {
  const dataDir = temporaryDirectory();
  const log = pino({ level: 'silent' });
  return async () => {
    const source = sourceOf(url, { verifyFile, directory: path.join(dataDir, 'git') });
    const file = new HintFile(dataDir, 'policies.json', 'policies', log);
    const memory = new PolicyMemory({ file, from: source.description, signersFile: verifyFile });
    const store = new PolicyStore({ source, rules: rulesWith(), log, memory });
    await store.start(new AbortController().signal);
    await store.saved();
    const reload = async () => {
      await store.reload();
      await store.saved();
    };
    return { store, reload };
  };
}

describe('what somebody signed who was taken out of the file', { skip: noSsh }, () => {
  const [known, mallory] = noSsh === false ? [sshKey(), sshKey()] : [];
  if (known === undefined || mallory === undefined) return;
  const a = policyText('a', 'image: mallory:1');

  test('is not in force after a restart, however often it was read before', async () => {
    const repository = new Repository();
    repository.commit({ 'a.yaml': a }, ...mallory.sign);
    const verifyFile = signersFile(`${known.line}${mallory.line}`);
    const start = server(repository.url, verifyFile);
    const { store, reload } = await start();
    writeFileSync(verifyFile, known.line);
    await reload();
    await reload();
    assert.equal(policyOf(store.current, 'a').spec.image, 'mallory:1');
    assert.match(String(problemsOf(store.current)), /is not signed by one of those/);
    const { store: again } = await start();
    assert.deepEqual([...again.current.policies.keys()], []);
  });

  test('is not either as the last good version of what another broke', async () => {
    const repository = new Repository();
    repository.commit({ 'a.yaml': a, 'b.yaml': policyText('b', 'image: b:1') }, ...mallory.sign);
    const verifyFile = signersFile(`${known.line}${mallory.line}`);
    const start = server(repository.url, verifyFile);
    const { store, reload } = await start();
    writeFileSync(verifyFile, known.line);
    repository.commit({ 'a.yaml': policyText('a', 'image: A B') }, ...known.sign);
    await reload();
    assert.equal(policyOf(store.current, 'a').spec.image, 'mallory:1');
    const { store: again } = await start();
    assert.deepEqual([...again.current.policies.keys()], ['b', 'default']);
  });

  test('but not what another signed: its last good version stays in force after a restart', async () => {
    const repository = new Repository();
    repository.commit({ 'a.yaml': a }, ...known.sign);
    const verifyFile = signersFile(`${known.line}${mallory.line}`);
    const start = server(repository.url, verifyFile);
    const { reload } = await start();
    writeFileSync(verifyFile, known.line);
    await reload();
    repository.commit({ 'a.yaml': policyText('a', 'image: A B') }, ...known.sign);
    const { store: again } = await start();
    assert.equal(policyOf(again.current, 'a').spec.image, 'mallory:1');
  });
});

/** A new key of OpenPGP in a ring of its own. */
function openPgpKey(): { readonly armour: string; readonly sign: readonly string[] } {
  const home = temporaryDirectory();
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const gpg = path.join(home, 'gpg.sh');
  writeFileSync(gpg, `#!/bin/sh\nexec gpg --homedir '${home}' --batch --quiet "$@"\n`, { mode: 0o755 });
  const run = (...args: readonly string[]) =>
    execFileSync(gpg, [...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  run('--passphrase', '', '--quick-generate-key', 'A <a@example.org>', 'ed25519', 'sign', 'never');
  return {
    armour: run('--armor', '--export', 'a@example.org'),
    sign: ['-c', `gpg.program=${gpg}`, '-c', 'user.signingKey=a@example.org', '-c', 'commit.gpgsign=true'],
  };
}

describe('commits signed by OpenPGP', { skip: noGpg }, () => {
  test('are taken only from those whose keys are in the file', async () => {
    const [known, stranger] = [openPgpKey(), openPgpKey()];
    const repository = new Repository();
    const first = repository.commit({ 'a.yaml': '1' }, ...known.sign);
    const verifyFile = signersFile(known.armour);
    const source = sourceOf(repository.url, { verifyFile });
    assert.deepEqual(await told(source), { 'a.yaml': '1' });
    repository.commit({ 'a.yaml': '2' }, ...stranger.sign);
    assert.match((await told(source))[repository.url] ?? '', /is not signed by one of those/);
    assert.equal(source.revision, first);
  });

  test('are not taken where signers of ssh are named, nor the other way round', { skip: noSsh }, async () => {
    const [pgp, ssh] = [openPgpKey(), sshKey()];
    const repository = new Repository();
    repository.commit({ 'a.yaml': '1' }, ...pgp.sign);
    const other = sourceOf(repository.url, { verifyFile: signersFile(ssh.line) });
    assert.match((await told(other)).unavailable ?? '', /is not signed/);
    repository.commit({ 'a.yaml': '2' }, ...ssh.sign);
    const back = sourceOf(repository.url, { verifyFile: signersFile(pgp.armour) });
    assert.match((await told(back)).unavailable ?? '', /is not signed/);
  });

  test('with a file of keys that is none take nothing', async () => {
    const repository = new Repository();
    repository.commit({ 'a.yaml': '1' });
    const verifyFile = signersFile('-----BEGIN PGP PUBLIC KEY BLOCK-----\nno\n');
    assert.match(
      (await told(sourceOf(repository.url, { verifyFile }))).unavailable ?? '',
      /can't be imported/,
    );
  });
});
