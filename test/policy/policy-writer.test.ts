import assert from 'node:assert/strict';
import {
  chmodSync,
  lstatSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import pino from 'pino';
import { ConflictError, InvalidPolicyError, PolicyUnknownError } from '../../src/errors.ts';
import { builtinPolicy } from '../../src/policy/builtin.ts';
import { DirectorySource } from '../../src/policy/directory.ts';
import type { PolicyRules } from '../../src/policy/policy-set.ts';
import { PolicyWriter } from '../../src/policy/policy-writer.ts';
import { PolicyStore } from '../../src/policy/store.ts';
import { policyText, rulesWith, temporaryDirectory } from './fixtures.ts';

interface Options {
  readonly rules?: Partial<PolicyRules>;
  readonly enabled?: boolean;
  readonly directory?: string | null;
}

/** A writer over a real directory with these files. */
async function writing(files: Readonly<Record<string, string>>, options: Options = {}) {
  const cwd = temporaryDirectory();
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(cwd, name), text);
  const rules = rulesWith(options.rules);
  const source = new DirectorySource('.', cwd);
  const store = new PolicyStore({
    source,
    rules,
    log: pino({ level: 'silent' }),
  });
  await store.reload();
  const { enabled = true, directory = '.' } = options;
  const writer = new PolicyWriter({ directory, cwd, enabled, rules, source, store });
  const read = (name: string) => readFileSync(path.join(cwd, name), 'utf8');
  const specOf = (id: string) =>
    [...store.current.policies.values()].find((policy) => policy.id === id)?.spec;
  return { cwd, store, writer, read, specOf };
}

const image = (value: string | undefined) => () => [{ path: ['spec', 'image'], value }];
const says =
  (...patterns: RegExp[]) =>
  (error: unknown) => {
    assert.ok(error instanceof Error && 'hint' in error);
    for (const pattern of patterns) assert.match(`${error.message} ${error.hint}`, pattern);
    return true;
  };

test('a change is in the file, and in force when it is answered', async () => {
  const { writer, read, store, specOf } = await writing({
    'a.yaml': `# ours\n${policyText('a', 'image: a:1 # x')}`,
  });
  const before = store.current.revision;
  const { policy, created } = await writer.put('a', image('a:2'));
  assert.deepEqual([policy.spec.image, created, specOf('a')?.image], ['a:2', false, 'a:2']);
  assert.equal(read('a.yaml'), `# ours\n${policyText('a', 'image: a:2 # x')}`);
  assert.notEqual(store.current.revision, before);
});

test('a new policy gets a file of its own, whatever its name is read as', async () => {
  const { writer, read, specOf, cwd } = await writing({});
  for (const id of ['data', '123', 'null']) {
    const { created, policy } = await writer.put(id, image('a:1'));
    assert.deepEqual([created, policy.declaredAt.file, specOf(id)?.image], [true, `${id}.yaml`, 'a:1']);
  }
  assert.match(
    read('data.yaml'),
    /^apiVersion: .*\nkind: Policy\nmetadata:\n {2}name: data\nspec:\n {2}image: a:1\n$/,
  );
  assert.deepEqual(readdirSync(cwd).sort(), ['123.yaml', 'data.yaml', 'null.yaml']);
});

test('a name that is none never becomes a path', async () => {
  const { writer, cwd } = await writing({});
  for (const id of ['../evil', '/etc/x', 'A', 'a/b', '', '.', 'x'.repeat(64), 'a\nb']) {
    await assert.rejects(writer.put(id, image('a:1')), InvalidPolicyError, id);
  }
  assert.deepEqual(readdirSync(cwd), []);
});

test('creating what is there is a conflict, the built-in default included', async () => {
  const { writer } = await writing({ 'a.yaml': policyText('a') });
  await assert.rejects(writer.create('a', image('a:2')), says(/a\.yaml:1/, /PUT/));
  await assert.rejects(writer.create('default', image('a:2')), ConflictError);
  assert.equal((await writer.create('b', image('b:1'))).spec.image, 'b:1');
});

test('the built-in default becomes a file, and what was not changed stays as it was', async () => {
  const builtin = builtinPolicy({ image: 'own:1', idleTimeoutMinutes: 0 });
  const { writer, read, specOf } = await writing({}, { rules: { builtin, defaults: { image: 'own:1' } } });
  await writer.put('default', () => [{ path: ['spec', 'priority'], value: 5 }]);
  assert.deepEqual(specOf('default'), { ...builtin.spec, priority: 5 });
  assert.match(read('default.yaml'), /spec:\n {2}idleTimeoutMinutes: 0\n {2}priority: 5\n$/);
});

test('what is so already is not written, not even where nothing may be', async () => {
  for (const enabled of [true, false]) {
    const text = policyText('a', 'image:   a:1');
    const { writer, read, cwd } = await writing({ 'a.yaml': text }, { enabled });
    const { ino, mtimeMs } = statSync(path.join(cwd, 'a.yaml'));
    await writer.put('a', image('a:1'));
    await writer.put('a', () => []);
    await writer.put('a', () => [{ path: ['spec', 'suspend'], value: false }]);
    await writer.put('default', () => [{ path: ['spec', 'suspend'], value: false }]);
    assert.equal(read('a.yaml'), text);
    const now = statSync(path.join(cwd, 'a.yaml'));
    assert.deepEqual([now.ino, now.mtimeMs, readdirSync(cwd)], [ino, mtimeMs, ['a.yaml']]);
  }
});

test('where nothing may be written the answer says where it is declared', async () => {
  const files = { 'a.yaml': `${policyText('b')}---\n${policyText('a', 'image: a:1')}` };
  const { writer, read } = await writing(files, { enabled: false });
  await assert.rejects(
    writer.put('a', image('a:2')),
    says(/"a" is declared at a\.yaml:7/, /TERMINALS_POLICY_WRITES/),
  );
  await assert.rejects(writer.remove('a'), says(/a\.yaml:7/));
  await assert.rejects(writer.put('new', image('a:2')), says(/No file declares/, /TERMINALS_POLICY_WRITES/));
  await assert.rejects(writer.put('default', image('a:2')), says(/TERMINALS_POLICY_WRITES/));
  assert.equal(read('a.yaml'), files['a.yaml']);
});

test('without a directory there is nothing to write to', async () => {
  const { writer } = await writing({}, { directory: null });
  await assert.rejects(
    writer.put('a', image('a:2')),
    says(/no policies directory/, /TERMINALS_POLICIES_DIR/),
  );
  assert.equal(writer.enabled, false);
});

test('what would not be valid is not written, and every problem is said', async () => {
  const text = policyText('a', 'image: a:1');
  const { writer, read, specOf } = await writing({ 'a.yaml': text }, { rules: { maxCpuMillis: 2000 } });
  const bad = () => [
    { path: ['spec', 'image'], value: 'A B' },
    { path: ['spec', 'resources', 'limits', 'cpu'], value: '4' },
  ];
  await assert.rejects(
    writer.put('a', bad),
    says(/spec\.image: "A B" is not an image/, /limits\.cpu: 4 is above TERMINALS_MAX_CPU/),
  );
  await assert.rejects(
    writer.put('a', () => [{ path: ['spec', 'imgae'], value: 'x' }]),
    says(/did you mean "image"/),
  );
  await assert.rejects(writer.create('b', bad), InvalidPolicyError);
  assert.equal(read('a.yaml'), text);
  assert.equal(specOf('a')?.image, 'a:1');
});

test('a removed policy leaves the others of its file, and the last one takes the file with it', async () => {
  const { writer, read, specOf, cwd } = await writing({
    'ab.yaml': `${policyText('a')}---\n# b\n${policyText('b')}`,
  });
  await writer.remove('a');
  assert.equal(read('ab.yaml'), `---\n# b\n${policyText('b')}`);
  assert.deepEqual([specOf('a'), specOf('b') === undefined], [undefined, false]);
  await writer.remove('b');
  assert.deepEqual(readdirSync(cwd), []);
  await assert.rejects(writer.remove('b'), PolicyUnknownError);
  await assert.rejects(writer.remove('default'), says(/built in/));
});

test('a removed default gives way to the built-in one', async () => {
  const { writer, specOf } = await writing({ 'd.yaml': policyText('default', 'image: a:1') });
  await writer.remove('default');
  assert.equal(specOf('default')?.image, builtinPolicy({}).spec.image);
});

test('a removed policy is gone beside a file that is for somebody else, or has nothing in it', async () => {
  const { writer, specOf } = await writing({
    'a.yaml': policyText('a'),
    'empty.yaml': '',
    'kustomization.yaml': 'resources: [a.yaml]\n',
  });
  await writer.remove('a');
  assert.equal(specOf('a'), undefined);
});

test('a policy that stays in force although its document was taken away is said to do so', async () => {
  const unnamed = policyText('b').replace('name: b', 'nmae: b');
  const { writer, specOf, read } = await writing({ 'ab.yaml': `${policyText('a')}---\n${unnamed}` });
  const stays = says(/"a" was taken out of ab\.yaml, but stays in force/, /may be in what can't be read/);
  await assert.rejects(writer.remove('a'), stays);
  assert.equal(read('ab.yaml'), `---\n${unnamed}`);
  assert.notEqual(specOf('a'), undefined);
});

test('a policy that is declared elsewhere, too, is said to be in force from there when it is taken away', async () => {
  const { writer, cwd } = await writing({ 'a.yaml': policyText('a'), 'b.yaml': policyText('a') });
  await assert.rejects(
    writer.remove('a'),
    says(/taken out of a\.yaml, but the one at b\.yaml:1 is in force/),
  );
  assert.deepEqual(readdirSync(cwd), ['b.yaml']);
});

test('changes at once come one after the other, and none is lost', async () => {
  const { writer, read, specOf } = await writing({ 'a.yaml': policyText('a') });
  const names = Array.from({ length: 20 }, (_, index) => `V${index}`);
  await Promise.all(
    names.map((name) => writer.put('a', () => [{ path: ['spec', 'env', name], value: name }])),
  );
  assert.deepEqual(Object.keys(specOf('a')?.env ?? {}).sort(), [...names].sort());
  assert.equal(read('a.yaml').match(/V\d+:/g)?.length, 20);
});

test('a change that failed does not hold up the next', async () => {
  const { writer } = await writing({ 'a.yaml': policyText('a') });
  const [failed, done] = await Promise.allSettled([
    writer.put('a', image('A B')),
    writer.put('a', image('a:2')),
  ]);
  assert.deepEqual([failed.status, done.status], ['rejected', 'fulfilled']);
});

test('what was written to the file meanwhile is kept', async () => {
  const { writer, read, cwd } = await writing({ 'a.yaml': policyText('a', 'image: a:1') });
  writeFileSync(path.join(cwd, 'a.yaml'), `# since then\n${policyText('a', 'image: a:1', 'priority: 7')}`);
  await writer.put('a', image('a:2'));
  assert.equal(read('a.yaml'), `# since then\n${policyText('a', 'image: a:2', 'priority: 7')}`);
});

test('rights stay, links stay, and nothing is left beside the file', async () => {
  const { writer, cwd, read } = await writing({ 'real.txt': policyText('a', 'image: a:1') });
  chmodSync(path.join(cwd, 'real.txt'), 0o666);
  symlinkSync('real.txt', path.join(cwd, 'a.yaml'));
  await writer.put('a', image('a:2'));
  assert.match(read('real.txt'), /a:2/);
  assert.equal(statSync(path.join(cwd, 'real.txt')).mode & 0o777, 0o666);
  assert.ok(lstatSync(path.join(cwd, 'a.yaml')).isSymbolicLink());
  assert.deepEqual(readdirSync(cwd).sort(), ['a.yaml', 'real.txt']);
});

test('a file with another broken document is edited; one that can not be parsed is named', async () => {
  const broken = policyText('b', 'image: A B');
  const { writer, read, cwd } = await writing({
    'ab.yaml': `${policyText('a', 'image: a:1')}---\n${broken}`,
  });
  await writer.put('a', image('a:2'));
  assert.equal(read('ab.yaml'), `${policyText('a', 'image: a:2')}---\n${broken}`);
  writeFileSync(path.join(cwd, 'ab.yaml'), `${policyText('a', 'image: a:2')}---\nx: [`);
  await assert.rejects(
    writer.put('a', image('a:3')),
    says(/ab\.yaml can't be edited here: it is not valid YAML/, /by hand/),
  );
});

test('a policy that is broken in its file is changed only by what mends it', async () => {
  const { writer, read, cwd } = await writing({ 'a.yaml': policyText('a', 'image: a:1') });
  const broken = policyText('a', 'image: A B');
  writeFileSync(path.join(cwd, 'a.yaml'), broken);
  const more = () => [{ path: ['spec', 'priority'], value: 5 }];
  await assert.rejects(writer.put('a', more), says(/"A B" is not an image/));
  assert.equal(read('a.yaml'), broken);
  const { policy } = await writer.put('a', image('a:2'));
  assert.deepEqual([policy.spec.image, read('a.yaml')], ['a:2', policyText('a', 'image: a:2')]);
});

test('a file that happens to have the name of a new policy is not written over', async () => {
  const { writer, read } = await writing({ 'b.yaml': policyText('a') });
  await assert.rejects(writer.put('b', image('b:1')), says(/b\.yaml is there already/));
  assert.equal(read('b.yaml'), policyText('a'));
});

test('what a policy inherits is seen, overridden, and not taken out of it unsaid', async () => {
  const base = policyText('base', 'image: base:1', 'env: {A: "1"}');
  const child = policyText('child').replace('spec: {}', 'extends: base');
  const { writer, read, specOf } = await writing({ 'base.yaml': base, 'child.yaml': child });
  assert.equal(specOf('child')?.image, 'base:1');
  await writer.put('child', image('base:1'));
  assert.equal(read('child.yaml'), child);
  await writer.put('child', image('own:1'));
  assert.equal(read('child.yaml'), `${child}spec:\n  image: own:1\n`);
  const without = () => [{ path: ['spec', 'env', 'A'], value: undefined }];
  await assert.rejects(writer.put('child', without), says(/inherits the variable A/));
  assert.deepEqual([read('base.yaml'), specOf('child')?.env], [base, { A: '1' }]);
});

test('a change that breaks another policy is not written', async () => {
  const base = policyText('base', 'resources: {limits: {memory: 4Gi}}');
  const child = policyText('child', 'resources: {requests: {memory: 2Gi}}').replace(
    'spec:',
    'extends: base\nspec:',
  );
  const { writer, read } = await writing({ 'base.yaml': base, 'child.yaml': child });
  const less = () => [{ path: ['spec', 'resources', 'limits', 'memory'], value: '1Gi' }];
  await assert.rejects(writer.put('base', less), says(/2Gi is above the limit/));
  await assert.rejects(writer.remove('base'), says(/no policy "base" to extend/));
  assert.equal(read('base.yaml'), base);
});
