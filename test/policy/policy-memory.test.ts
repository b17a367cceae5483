import assert from 'node:assert/strict';
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import pino from 'pino';
import { builtinPolicy } from '../../src/policy/builtin.ts';
import type { PolicySource, SourceFile, SourceUnavailable } from '../../src/policy/policy.ts';
import { PolicyMemory } from '../../src/policy/policy-memory.ts';
import type { PolicyRules } from '../../src/policy/policy-set.ts';
import { signersOf } from '../../src/policy/signers.ts';
import { PolicyStore } from '../../src/policy/store.ts';
import { HintFile } from '../../src/reconcile/hint-file.ts';
import { policyOf, policyText, problemsOf, rulesWith, temporaryDirectory } from './fixtures.ts';

type Files = Readonly<Record<string, string>>;

const log = pino({ level: 'silent' });
const a = policyText('a', 'image: a:1', 'env: {PIN: "0123"}', 'egress: {allowedDomains: []}');
const own = policyText('default', 'groups: [staff]', 'image: own:1');
const broken = policyText('default', 'image: A B');
const defaults = (minutes: number) =>
  `apiVersion: terminals.openwebui.com/v1alpha1\nkind: PolicyDefaults\nspec: {idleTimeoutMinutes: ${minutes}}\n`;

interface Start {
  readonly from?: string;
  readonly rules?: PolicyRules;
  readonly signersFile?: string | null;
}

/** A data directory, and starts of a server on it, each with the files that there are then. */
function server() {
  const dataDir = temporaryDirectory();
  const file = path.join(dataDir, '.terminals', 'policies.json');
  const start = async (given: Files | SourceUnavailable, options: Start = {}) => {
    const { from = 'the test', rules = rulesWith(), signersFile = null } = options;
    let files = given;
    const source: PolicySource = {
      description: from,
      revision: 'c0ffee',
      signers: signersFile === null ? null : await signersOf(signersFile).catch(() => null),
      read: async () => readFiles(files),
      watch: () => undefined,
    };
    const hint = new HintFile(dataDir, 'policies.json', 'policies', log);
    const memory = new PolicyMemory({ file: hint, from, signersFile });
    const store = new PolicyStore({ source, rules, log, memory });
    await store.start(new AbortController().signal);
    await store.saved();
    const become = async (next: Files) => {
      files = next;
      await store.reload();
      await store.saved();
    };
    return { store, become };
  };
  return { dataDir, file, start };
}

function readFiles(files: Files | SourceUnavailable): readonly SourceFile[] | SourceUnavailable {
  if (isUnavailable(files)) return files;
  return Object.entries(files).map(([file, text]) => ({ path: file, text }));
}

function isUnavailable(files: Files | SourceUnavailable): files is SourceUnavailable {
  return 'unavailable' in files;
}

describe('after a restart the policies are as they were before it', () => {
  test('while one is broken, with every field, its place, and what it is the last good version of', async () => {
    const { start } = server();
    const { store } = await start({ 'a.yaml': a, 'default.yaml': own });
    const { store: again } = await start({ 'a.yaml': a, 'default.yaml': broken });
    assert.equal(again.current.revision, store.current.revision);
    assert.deepEqual(policyOf(again.current, 'default').declaredAt, {
      file: 'default.yaml',
      line: 1,
      column: 1,
    });
    assert.deepEqual([...(again.current.lastGood ?? [])], ['default']);
    assert.equal(problemsOf(again.current).length, 1);
  });

  test('while the source is out of reach, with what it called that state', async () => {
    const { start } = server();
    const { store } = await start({ 'a.yaml': a, 'default.yaml': own });
    const { store: again } = await start({ unavailable: 'it is away' });
    assert.equal(again.current.revision, store.current.revision);
    assert.equal(again.current.source, 'c0ffee');
    assert.match(String(problemsOf(again.current)), /the policies in force stay as they are/);
  });

  test('also after several, and with what became of the others meanwhile', async () => {
    const { start } = server();
    const { become } = await start({ 'a.yaml': a, 'default.yaml': own });
    await become({ 'a.yaml': a.replace('a:1', 'a:2'), 'default.yaml': broken });
    await start({ unavailable: 'it is away' });
    const { store } = await start({ 'a.yaml': policyText('a', 'image: A B'), 'default.yaml': broken });
    assert.equal(policyOf(store.current, 'a').spec.image, 'a:2');
    assert.equal(policyOf(store.current, 'default').spec.image, 'own:1');
  });

  test('while the defaults of the folder are broken', async () => {
    const { start } = server();
    const { store } = await start({ 'a.yaml': a, 'd.yaml': defaults(7) });
    const { store: again } = await start({ 'a.yaml': a, 'd.yaml': `${defaults(7)}  }{` });
    assert.equal(again.current.revision, store.current.revision);
    assert.equal(policyOf(again.current, 'default').spec.idleTimeoutMinutes, 7);
  });

  test('and one whose file was taken away meanwhile is gone', async () => {
    const { start } = server();
    await start({ 'a.yaml': a, 'default.yaml': own });
    const { store } = await start({});
    assert.deepEqual([...store.current.policies.keys()], ['default']);
    assert.equal(policyOf(store.current, 'default').declaredAt.file, '(built-in)');
  });

  test('beside a file that can not be read, as it could not before: what was taken away meanwhile is gone', async () => {
    const { start } = server();
    await start({ 'a.yaml': a, 'default.yaml': own, 'link.yaml': 'kind: [', 'empty.yaml': '' });
    const { store } = await start({ 'link.yaml': 'kind: [', 'empty.yaml': '' });
    assert.deepEqual([...store.current.policies.keys()], ['default']);
    assert.equal(policyOf(store.current, 'default').declaredAt.file, '(built-in)');
  });

  test('where a file is gone, and may be another that can not be read since then, however many starts long', async () => {
    const { start } = server();
    await start({ 'a.yaml': a, 'default.yaml': own });
    for (let count = 0; count < 3; count += 1) {
      const { store } = await start({ 'other.yaml': 'kind: [' });
      assert.deepEqual([...store.current.policies.keys()], ['a', 'default']);
      assert.equal(policyOf(store.current, 'default').spec.image, 'own:1');
    }
  });

  test('where a default was declared with errors, and its file is empty now', async () => {
    const { start } = server();
    await start({ 'default.yaml': broken });
    for (let count = 0; count < 2; count += 1) {
      assert.deepEqual([...(await start({ 'default.yaml': '' })).store.current.policies.keys()], []);
    }
    assert.deepEqual([...(await start({})).store.current.policies.keys()], ['default']);
  });

  test('under the bounds that there are now, where what is unreadable may be one that they refuse', async () => {
    const { start } = server();
    const { become } = await start({ 'a.yaml': a, 'default.yaml': own });
    await become({ 'a.yaml': a, 'default.yaml': `${own}  }{` });
    const rules = rulesWith({ allowedImages: ['a:*'] });
    const { store } = await start({ 'a.yaml': a, 'default.yaml': `${own}  }{` }, { rules });
    assert.deepEqual([...store.current.policies.keys()], ['a']);
    const { store: empty } = await start({ 'a.yaml': a, 'default.yaml': '' }, { rules });
    assert.deepEqual([...empty.current.policies.keys()], ['a']);
  });

  test('under the bounds that there are now, where the file of one that they refuse is empty', async () => {
    const { start } = server();
    await start({ 'a.yaml': a, 'default.yaml': own });
    const rules = rulesWith({ allowedImages: ['a:*'] });
    for (const file of ['default.yaml', 'renamed.yaml']) {
      const { store } = await start({ 'a.yaml': a, [file]: '' }, { rules });
      assert.deepEqual([...store.current.policies.keys()], ['a']);
    }
  });

  test('under the bounds that there are now', async () => {
    const { start } = server();
    await start({ 'a.yaml': a, 'default.yaml': own });
    const rules = rulesWith({ allowedImages: ['own:*'], maxMemoryBytes: 512 * 1024 * 1024 });
    const { store } = await start({ unavailable: 'it is away' }, { rules });
    assert.deepEqual([...store.current.policies.keys()], ['default']);
    assert.equal(policyOf(store.current, 'default').spec.resources.limits.memory, '512Mi');
  });
});

describe('of the built-in default nothing is kept but that it was in force', () => {
  const away = { unavailable: 'it is away' };
  const configured = (image: string) => ({ rules: rulesWith({ builtin: builtinPolicy({ image }) }) });
  const imageOf = ({ store }: { store: PolicyStore }) => policyOf(store.current, 'default').spec.image;

  for (const [what, source] of [
    ['whose source is out of reach', away],
    ['whose directory is not there', { ...away, absent: true }],
    ['without files', {}],
  ] as const) {
    test(`so that it is as the configuration says now, at a start ${what}`, async () => {
      const { start } = server();
      await start({}, configured('one:1'));
      for (const image of ['one:2', 'one:3']) {
        const again = await start(source, configured(image));
        assert.equal(imageOf(again), image);
        assert.deepEqual([...again.store.current.policies.keys()], ['default']);
      }
    });
  }

  test('under the defaults of the folder', async () => {
    const { start } = server();
    await start({ 'd.yaml': defaults(7), 'a.yaml': a });
    const { store } = await start(away, configured('one:2'));
    const { image, idleTimeoutMinutes } = policyOf(store.current, 'default').spec;
    assert.deepEqual([image, idleTimeoutMinutes], ['one:2', 7]);
    assert.deepEqual([...store.current.policies.keys()], ['a', 'default']);
  });

  for (const [what, text] of [
    ['is declared with errors', broken],
    ['may be in what can not be read', 'kind: ['],
  ] as const) {
    test(`which opens nothing where another ${what} since then`, async () => {
      const { start } = server();
      await start({ 'a.yaml': a });
      for (const files of [{ 'a.yaml': a, 'default.yaml': text }, away]) {
        const { store } = await start(files);
        assert.deepEqual([...store.current.policies.keys()], ['a']);
      }
      assert.deepEqual([...(await start({ 'a.yaml': a })).store.current.policies.keys()], ['a', 'default']);
    });

    test(`nor where another ${what} while it was in force`, async () => {
      const { start } = server();
      const { become, store } = await start({ 'a.yaml': a });
      await become({ 'a.yaml': a, 'default.yaml': text });
      assert.equal(policyOf(store.current, 'default').declaredAt.file, '(built-in)');
      const again = await start({ 'a.yaml': a, 'default.yaml': text });
      assert.deepEqual([...again.store.current.policies.keys()], ['a']);
      assert.match(String(problemsOf(again.store.current)), /no policy "default" is in force/);
    });
  }

  test('which opens nothing, either, out of reach after that', async () => {
    const { start } = server();
    const { become } = await start({});
    await become({ 'default.yaml': broken });
    assert.deepEqual([...(await start(away)).store.current.policies.keys()], []);
  });
});

describe('nothing is known of before', () => {
  const away = { unavailable: 'it is away' };
  const names = ({ store }: { store: PolicyStore }) => [...store.current.policies.keys()];

  test('where policies come from another source', async () => {
    const { start } = server();
    await start({ 'default.yaml': own });
    assert.deepEqual(names(await start(away, { from: 'another' })), []);
  });

  test('where others may sign now than did', async () => {
    const { start, dataDir } = server();
    const signersFile = path.join(dataDir, 'signers');
    writeFileSync(signersFile, 'one');
    await start({ 'default.yaml': own }, { signersFile });
    assert.deepEqual(names(await start(away, { signersFile })), ['default']);
    writeFileSync(signersFile, 'another');
    assert.deepEqual(names(await start(away, { signersFile })), []);
  });

  test('while it can not be read who may sign, nor after that', async () => {
    const { start, dataDir } = server();
    const signersFile = path.join(dataDir, 'signers');
    writeFileSync(signersFile, 'one');
    await start({ 'default.yaml': own }, { signersFile });
    rmSync(signersFile);
    assert.deepEqual(names(await start(away, { signersFile })), []);
    await start({ 'default.yaml': own }, { signersFile });
    writeFileSync(signersFile, '');
    assert.deepEqual(names(await start(away, { signersFile })), []);
  });

  for (const text of [
    '',
    '{',
    '[]',
    '{"from": "the test"}',
    '{"from": "the test", "policies": [1, {"name": "x"}]}',
  ]) {
    test(`where what was written is ${text === '' ? 'empty' : text}`, async () => {
      const { start, file } = server();
      await start({ 'default.yaml': own });
      writeFileSync(file, text);
      assert.deepEqual(names(await start(away)), []);
    });
  }

  test('where nothing was in force, which is not written', async () => {
    const { start, file } = server();
    await start(away);
    assert.throws(() => statSync(file), /ENOENT/);
  });
});

test('the file is for this user alone, and written only when something else is in force', async () => {
  const { start, file } = server();
  const { become } = await start({ 'a.yaml': a });
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const text = readFileSync(file, 'utf8');
  writeFileSync(file, 'untouched');
  await become({ 'a.yaml': `${a}# a comment\n` });
  assert.equal(readFileSync(file, 'utf8'), 'untouched');
  await become({ 'a.yaml': a.replace('a:1', 'a:2') });
  assert.equal(readFileSync(file, 'utf8'), text.replace('a:1', 'a:2'));
  const { ino } = statSync(file);
  await start({ 'a.yaml': a.replace('a:1', 'a:2') });
  assert.equal(statSync(file).ino, ino);
});
