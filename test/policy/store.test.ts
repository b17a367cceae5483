import assert from 'node:assert/strict';
import { test } from 'node:test';
import pino from 'pino';
import type { PolicySet, PolicySource, SourceFile, SourceUnavailable } from '../../src/policy/policy.ts';
import { PolicyStore } from '../../src/policy/store.ts';
import { policyOf, policyText, rulesWith } from './fixtures.ts';

interface Line {
  readonly level: number;
  readonly msg: string;
  readonly added?: readonly string[];
  readonly changed?: readonly string[];
  readonly removed?: readonly string[];
}

/** A source whose files a test sets, and which answers only when it may. */
class SetSource implements PolicySource {
  readonly description = 'the test';
  files: Readonly<Record<string, string>> | SourceUnavailable | Error = {};
  reads = 0;
  changed: () => void = () => assert.fail('it is not watched');
  gate: Promise<void> = Promise.resolve();

  async read(): Promise<readonly SourceFile[] | SourceUnavailable> {
    this.reads += 1;
    const { files } = this;
    await this.gate;
    if (files instanceof Error) throw files;
    if (isUnavailable(files)) return files;
    return Object.entries(files).map(([path, text]) => ({ path, text }));
  }

  watch(changed: () => void, signal: AbortSignal): void {
    this.changed = changed;
    signal.addEventListener('abort', () => {
      this.changed = () => undefined;
    });
  }
}

function isUnavailable(files: SetSource['files']): files is SourceUnavailable {
  return typeof files === 'object' && 'unavailable' in files;
}

async function started(files: SetSource['files']) {
  const source = new SetSource();
  source.files = files;
  const lines: Line[] = [];
  const log = pino({ level: 'trace' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const store = new PolicyStore({ source, rules: rulesWith(), log });
  const changes: { next: PolicySet; previous: PolicySet }[] = [];
  store.onChange((next, previous) => changes.push({ next, previous }));
  await store.start(new AbortController().signal);
  const become = (next: SetSource['files']) => {
    source.files = next;
    return store.reload();
  };
  const said = (level: 'error' | 'warn' | 'info') =>
    lines.filter((line) => line.level === pino.levels.values[level]).map(({ msg }) => msg);
  return { source, store, lines, changes, become, said };
}

const a = policyText('a', 'image: a:1');
const a2 = policyText('a', 'image: a:2');
const broken = policyText('a', 'image: A B');
const brokenWords =
  'a.yaml:6:10: error: spec.image: "A B" is not an image reference (write registry/name:tag or registry/name@sha256:…)';

test('before it is started the built-in default is in force', () => {
  const store = new PolicyStore({
    source: new SetSource(),
    rules: rulesWith(),
    log: pino({ level: 'silent' }),
  });
  assert.deepEqual([...store.current.policies.keys()], ['default']);
});

test('a start loads the policies, which is no change', async () => {
  const { store, changes, said } = await started({ 'a.yaml': a });
  assert.equal(policyOf(store.current, 'a').spec.image, 'a:1');
  assert.deepEqual(changes, []);
  assert.deepEqual(said('info'), ['policies loaded']);
});

test('a source out of reach at the start leaves no policy, and what is there later is a change', async () => {
  const { store, changes, become, said } = await started({ unavailable: 'it is away' });
  assert.deepEqual([...store.current.policies.keys()], []);
  assert.match(said('error').join(), /it is away/);
  await become({ 'a.yaml': a });
  assert.deepEqual([...(changes[0]?.next.policies.keys() ?? [])], ['a', 'default']);
});

test('a change of the source is read, and told with the set before and after', async () => {
  const { source, store, changes } = await started({ 'a.yaml': a });
  const before = store.current;
  const told = new Promise<void>((resolve) => store.onChange(() => resolve()));
  source.files = { 'a.yaml': a2 };
  source.changed();
  await told;
  assert.equal(changes.length, 1);
  assert.equal(changes[0]?.previous, before);
  assert.equal(changes[0]?.next, store.current);
  assert.equal(policyOf(store.current, 'a').spec.image, 'a:2');
});

test('added, changed and removed policies are named in the log', async () => {
  const { become, lines } = await started({ 'a.yaml': a, 'b.yaml': policyText('b') });
  await become({ 'a.yaml': a2, 'c.yaml': policyText('c') });
  const { added, changed, removed } = lines.find(({ msg }) => msg === 'policies changed') ?? assert.fail();
  assert.deepEqual({ added, changed, removed }, { added: ['c'], changed: ['a'], removed: ['b'] });
});

for (const [what, files] of [
  ['the same text again', { 'a.yaml': a }],
  ['a comment', { 'a.yaml': `# new\n${a}` }],
  ['another file name', { 'b.yaml': a }],
  ['a default written out', { 'a.yaml': `${a}  suspend: false\n` }],
  ['a broken policy', { 'a.yaml': broken }],
  ['a broken policy beside it', { 'a.yaml': a, 'b.yaml': 'x: [' }],
  ['a directory that is gone', { unavailable: 'it is gone' }],
  ['a source that throws', new Error('EIO')],
] as const) {
  test(`${what} is no change, and the policy in force stays the same object`, async () => {
    const { store, changes, become } = await started({ 'a.yaml': a });
    const { spec } = policyOf(store.current, 'a');
    await become(files);
    assert.deepEqual(changes, []);
    assert.equal(policyOf(store.current, 'a').spec, spec);
  });
}

test('a policy that was moved has its new place, though it is no change', async () => {
  const { store, become } = await started({ 'a.yaml': a });
  await become({ 'b.yaml': `# moved\n${a}` });
  assert.deepEqual(policyOf(store.current, 'a').declaredAt, { file: 'b.yaml', line: 2, column: 1 });
});

test('a change of one policy leaves the others the same objects', async () => {
  const { store, become } = await started({ 'a.yaml': a, 'b.yaml': policyText('b') });
  const { spec } = policyOf(store.current, 'b');
  await become({ 'a.yaml': a2, 'b.yaml': policyText('b') });
  assert.equal(policyOf(store.current, 'b').spec, spec);
});

test('a problem is logged once, with its place, however often it is read', async () => {
  const { become, said, store } = await started({ 'a.yaml': broken });
  await become({ 'a.yaml': broken });
  await become({ 'a.yaml': broken, 'b.yaml': policyText('b') });
  assert.deepEqual(said('error'), [brokenWords]);
  assert.equal(store.current.problems.length, 1);
});

test('a problem that came back is logged again', async () => {
  const { become, said } = await started({ 'a.yaml': broken });
  await become({ 'a.yaml': a });
  await become({ 'a.yaml': broken });
  assert.deepEqual(said('error'), [brokenWords, brokenWords]);
});

test('a warning is logged as one', async () => {
  const { said } = await started({ 'a.yaml': policyText('a', 'packages: [x, x]') });
  assert.deepEqual(said('warn'), [
    'a.yaml:6:17: warning: spec.packages[1]: "x" is listed twice (keep one of the two)',
  ]);
  assert.deepEqual(said('error'), []);
});

test('a source that throws is logged, and read again at its next change', async () => {
  const { become, changes, said } = await started({ 'a.yaml': a });
  await become(new Error('EIO'));
  assert.deepEqual(said('error'), ['policies could not be read; those in force stay']);
  await become({ 'a.yaml': a2 });
  assert.equal(changes.length, 1);
});

test('changes in the middle of a reading lead to one more reading, with what is there then', async () => {
  const { source, store, changes } = await started({ 'a.yaml': a });
  const { promise, resolve } = Promise.withResolvers<void>();
  source.gate = promise;
  const reading = store.reload();
  source.files = { 'a.yaml': a2 };
  source.changed();
  source.changed();
  source.changed();
  resolve();
  await reading;
  assert.equal(source.reads, 3);
  assert.equal(policyOf(store.current, 'a').spec.image, 'a:2');
  assert.equal(changes.length, 1);
});
