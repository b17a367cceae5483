import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { parse, parseAllDocuments } from 'yaml';
import { editDocument, NotEditableError, newDocument, removeDocument } from '../../src/policy/policy-text.ts';

const data = `# Policies of the data team.
# yaml-language-server: $schema=../schemas/policy.schema.json
apiVersion: terminals.openwebui.com/v1alpha1
kind: Policy
metadata:
  name: data   # the id
spec:
  # Pinned by hand.
  image: data:1 # not latest
  packages: [graphviz, 'ffmpeg']

  env:
    TZ: "Europe/Berlin"   # where we are
  resources:
    limits:
      cpu: "2"
  # The end.
`;
const odd = `---   # oddly written
apiVersion:   terminals.openwebui.com/v1alpha1
kind: "Policy"
metadata: {name:    web}
spec: {image:   'web:1',   env: {A: "1"}}
`;
const third = `---
apiVersion: terminals.openwebui.com/v1alpha1
kind: Policy
metadata:
  name: third
`;

const set = (path: string, value: unknown) => ({ path: ['spec', ...path.split('.')], value });
const edit = (text: string, id: string, ...edits: ReturnType<typeof set>[]) =>
  editDocument(text, id, 0, edits).text;

test('one value changes, and nothing else of the file', () => {
  const before = data + odd + third;
  const after = edit(before, 'data', set('image', 'data:2'));
  assert.equal(after, before.replace('data:1', 'data:2'));
});

test('fields are added, changed and taken out in one go; comments stay', () => {
  const after = edit(
    data,
    'data',
    set('resources.limits.cpu', '4'),
    set('persistence.size', '5Gi'),
    set('env.TZ', undefined),
    set('env.LANG', 'de'),
  );
  for (const comment of [
    '# Policies of',
    '# yaml-lang',
    '# the id',
    '# Pinned',
    '# not latest',
    '# The end.',
  ]) {
    assert.ok(after.includes(comment), `${comment} in\n${after}`);
  }
  assert.deepEqual(parse(after).spec, {
    image: 'data:1',
    packages: ['graphviz', 'ffmpeg'],
    env: { LANG: 'de' },
    resources: { limits: { cpu: '4' } },
    persistence: { size: '5Gi' },
  });
});

test('the other documents of the file stay byte for byte, however they are written', () => {
  const after = edit(data + odd + third, 'third', set('image', 'x:1'));
  assert.ok(after.startsWith(data + odd));
  assert.equal(parseAllDocuments(after).length, 3);
  assert.match(after, /name: third\nspec:\n {2}image: x:1\n$/);
});

test('a document in flow style is edited in it', () => {
  const after = edit(data + odd + third, 'web', set('image', 'web:2'), set('env.B', '2'));
  assert.ok(after.startsWith(data) && after.endsWith(third));
  const [, document] = parseAllDocuments(after);
  assert.deepEqual(document?.toJS().spec, { image: 'web:2', env: { A: '1', B: '2' } });
});

test('an edit that says what is there leaves the text as it is', () => {
  assert.equal(edit(odd, 'web', set('image', 'web:1'), set('packages', undefined)), odd);
});

test('an indent of four, lists at the margin and CRLF are kept', () => {
  const text = `kind: Policy\nmetadata:\n    name: a\nspec:\n    image: a:1\n    packages:\n    - x\n    - y\n`;
  assert.equal(edit(text, 'a', set('image', 'a:2')), text.replace('a:1', 'a:2'));
  const crlf = `\uFEFF${text.replaceAll('\n', '\r\n')}`;
  assert.equal(edit(crlf, 'a', set('image', 'a:2')), crlf.replace('a:1', 'a:2'));
});

test('a spec without a value, and none at all, is filled', () => {
  for (const spec of ['spec:\n', 'spec: {}\n', '']) {
    assert.deepEqual(parse(edit(`metadata:\n  name: a\n${spec}`, 'a', set('env.A', '1'))).spec, {
      env: { A: '1' },
    });
  }
});

test('the lines of the changed document are those of the file as it will be', () => {
  const { text, lines } = editDocument(odd + third + odd.replace('web', 'w2'), 'third', 0, [
    set('image', 'x:1'),
  ]);
  assert.deepEqual(text.split('\n').slice(lines.first - 1, lines.last - 1), [
    ...third.trimEnd().split('\n'),
    'spec:',
    '  image: x:1',
  ]);
});

test('the defaults of the folder are no policy, whatever their name', () => {
  const defaults = 'kind: PolicyDefaults\nmetadata: {name: third}\nspec: {image: d:1}\n';
  const after = edit(defaults + third, 'third', set('image', 'x:1'));
  assert.ok(after.startsWith(defaults) && after.includes('x:1'));
});

test('of two documents of one name the one on the line is meant', () => {
  const two = `${third}${third}`;
  const after = editDocument(two, 'third', 7, [set('image', 'x:1')]).text;
  assert.ok(after.startsWith(third) && after.includes('x:1'), after);
});

for (const [what, text] of [
  ['no YAML', 'spec: [\nmetadata: {name: a}'],
  ['an anchor that others refer to', 'metadata: {name: a}\nspec:\n  image: &i a:1\n  env: {I: *i}\n'],
  ['an alias in the way', 'base: &b {image: a:1}\nmetadata: {name: a}\nspec: *b\n'],
  ['an alias without end', 'metadata: {name: a}\nspec: &s {image: a:1, self: *s}\n'],
  ['another policy', 'metadata: {name: b}\n'],
  ['nothing', ''],
] as const) {
  test(`a file that has ${what} is not edited`, () => {
    assert.throws(() => edit(text, 'a', set('image', 'a:2')), NotEditableError);
  });
}

test('what comes in by a merge can be set, and not be taken out', () => {
  const text = 'base: &b {image: a:1}\nmetadata: {name: a}\nspec:\n  <<: *b\n  priority: 1\n';
  assert.match(edit(text, 'a', set('image', 'a:2')), /<<: \*b\n {2}priority: 1\n {2}image: a:2\n$/);
  assert.throws(() => edit(text, 'a', set('image', undefined)), NotEditableError);
});

test('a document is taken out, the others stay byte for byte', () => {
  const all = data + odd + third;
  assert.equal(removeDocument(all, 'data', 0), odd + third);
  assert.equal(removeDocument(all, 'web', 0), data + third);
  assert.equal(removeDocument(all, 'third', 0), data + odd);
});

test('of the only document nothing is left, nor of one beside empty ones', () => {
  assert.equal(removeDocument(data, 'data', 0), null);
  assert.equal(removeDocument(`---\n# nothing\n---\n${data}---\n`, 'data', 0), null);
});

test('documents that would grow together are not parted', () => {
  const text = `${third}...\n---\nmetadata: {name: b}\n...\nmetadata: {name: c}\n`;
  const rest = removeDocument(text, 'b', 0);
  assert.deepEqual(
    parseAllDocuments(rest ?? '').map((document) => document.toJS().metadata.name),
    ['third', 'c'],
  );
  assert.throws(
    () => removeDocument('metadata: {name: a}\n---\nmetadata: {name: b}\n...\nmetadata: {name: c}\n', 'b', 0),
    NotEditableError,
  );
});

test('a name that YAML would read as something else is a name all the same', () => {
  for (const id of ['null', 'true', '123', '1e3', '0x1f', 'data', 'a: b', '..']) {
    assert.equal(parse(newDocument(id)).metadata.name, id);
  }
});

test('whatever is set can be read back, and nothing else has changed', () => {
  const value = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.integer(), fc.boolean());
  const name = fc.stringMatching(/^[A-Za-z_]\w{0,8}$/);
  const property = fc.property(fc.dictionary(name, value, { maxKeys: 5 }), (env) => {
    const { __proto__: _, ...fields } = env;
    const edits = Object.entries(fields).map(([field, each]) => ({
      path: ['spec', 'env', field],
      value: each,
    }));
    const after = editDocument(`${odd}---\n${data}`, 'data', 0, edits).text;
    assert.ok(after.startsWith(odd));
    const { spec, ...others } = parseAllDocuments(after, { stringKeys: true })[1]?.toJS() ?? {};
    const before = parse(data);
    assert.deepEqual(
      { ...others, spec },
      { ...before, spec: { ...before.spec, env: { ...before.spec.env, ...fields } } },
    );
  });
  fc.assert(property, { numRuns: 300 });
});
