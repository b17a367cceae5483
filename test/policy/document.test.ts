import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { largestFileBytes, parseFile } from '../../src/policy/document.ts';

function contents(text: string): readonly unknown[] {
  const { documents, problems } = parseFile('a.yaml', text);
  assert.deepEqual(problems, []);
  return documents.map(({ content }) => content);
}

/** `line:column message (hint)` of every problem. */
function problems(text: string): readonly string[] {
  return parseFile('a.yaml', text).problems.map(
    ({ line, column, message, hint }) => `${line}:${column} ${message} (${hint})`,
  );
}

function only<T>(list: readonly T[]): T {
  assert.equal(list.length, 1);
  return list[0] ?? assert.fail();
}

describe('documents', () => {
  test('of one file are all read, in order', () => {
    assert.deepEqual(contents('a: 1\n---\nb: 2\n...\nc: 3\n'), [{ a: 1 }, { b: 2 }, { c: 3 }]);
  });

  for (const [what, text] of [
    ['a file of comments', '# nothing\n\n# here\n'],
    ['a file of separators', '---\n---\n# x\n---\n'],
    ['documents that say null', 'null\n---\n~\n'],
  ] as const) {
    test(`are none in ${what}, which is no problem`, () => assert.deepEqual(contents(text), []));
  }

  for (const text of ['', ' \n\n', '\ufeff']) {
    test(`are none in an empty file, which is warned of: ${JSON.stringify(text)}`, () => {
      assert.deepEqual(parseFile('a.yaml', text), {
        documents: [],
        problems: [
          {
            file: 'a.yaml',
            line: 1,
            column: 1,
            severity: 'warning',
            path: '',
            message: 'the file is empty',
            hint: 'delete it to remove its policies',
          },
        ],
      });
    });
  }

  test('may begin with a byte order mark', () => assert.deepEqual(contents('\ufeffa: 1\n'), [{ a: 1 }]));

  test('may have line ends of Windows', () => {
    assert.deepEqual(contents('a: 1\r\n---\r\nb: x\r\n'), [{ a: 1 }, { b: 'x' }]);
  });

  test('are YAML 1.2: yes and off are texts, and every name is one', () => {
    assert.deepEqual(contents('yes: off\ntrue: 1\n1: 010\n'), [{ yes: 'off', true: 1, 1: 10 }]);
  });

  test('may use anchors and merge keys', () => {
    assert.deepEqual(contents('x: &x {a: 1}\ny: {<<: *x, b: 2}\nz: *x\n'), [
      { x: { a: 1 }, y: { a: 1, b: 2 }, z: { a: 1 } },
    ]);
  });

  test('that are good are read beside a broken one', () => {
    const { documents, problems: found } = parseFile('a.yaml', 'a: 1\n---\nb: [\n---\nc: 3\n');
    assert.deepEqual(
      documents.map(({ content }) => content),
      [{ a: 1 }, { c: 3 }],
    );
    assert.equal(only(found).line, 4);
  });
});

describe('a place', () => {
  const text = [
    '# first',
    'a:',
    '  b: [x, {c: 1}]',
    '  "d e": "y"',
    '---',
    'a:',
    '  b: &b {c: 1}',
    '  d: *b',
    '',
  ];
  const { documents } = parseFile('dir/a.yaml', text.join('\n'));
  const place = (document: number, path: readonly (string | number)[], atName?: boolean) => {
    const { file, line, column } = documents[document]?.place(path, atName) ?? assert.fail();
    assert.equal(file, 'dir/a.yaml');
    return `${line}:${column}`;
  };

  test('is where a value begins', () => {
    assert.equal(place(0, ['a', 'b']), '3:6');
    assert.equal(place(0, ['a', 'b', 0]), '3:7');
    assert.equal(place(0, ['a', 'b', 1, 'c']), '3:14');
    assert.equal(place(0, ['a', 'd e']), '4:10');
  });

  test('is where a name begins, if asked for', () => {
    assert.equal(place(0, ['a'], true), '2:1');
    assert.equal(place(0, ['a', 'b', 1, 'c'], true), '3:11');
    assert.equal(place(0, ['a', 'd e'], true), '4:3');
  });

  test('of what is not there is the nearest that is', () => {
    assert.equal(place(0, ['a', 'b', 1, 'z', 'y']), '3:10');
    assert.equal(place(0, ['z'], true), '2:1');
  });

  test('of the whole is its first line that is no comment', () => assert.equal(place(0, []), '2:1'));

  test('counts lines from the beginning of the file in later documents', () => {
    assert.equal(place(1, []), '6:1');
    assert.equal(place(1, ['a', 'b', 'c']), '7:13');
  });

  test('inside of an alias is the alias', () => assert.equal(place(1, ['a', 'd', 'c']), '8:6'));
});

describe('malformed YAML is a problem with its place:', () => {
  for (const [what, text, words] of [
    [
      'a key that is there twice',
      'a: 1\nb: 2\na: 3\n',
      '3:1 this key is in its map twice (keep one of the two)',
    ],
    [
      'one in a flow map',
      's:\n  e: {a: 1, a: 2}\n',
      '2:13 this key is in its map twice (keep one of the two)',
    ],
    ['one in quotes', 'a: 1\n"a": 3\n', '2:1 this key is in its map twice (keep one of the two)'],
    ['a tab', 'a:\n\tb: 1\n', '2:1 Tabs are not allowed as indentation (indent with spaces)'],
    [
      'fields that stand unevenly',
      'a:\n  b: 1\n c: 2\n',
      '3:1 All mapping items must start at the same column (indent the fields of one map alike)',
    ],
    [
      'a map in a line with another',
      'a: b: c\n',
      '1:4 Nested mappings are not allowed in compact mappings ()',
    ],
    ['a quote without end', 'a: "x\n', '2:1 Missing closing "quote ()'],
    ['a bracket too many', 'a: 1\n}\n', '2:1 Unexpected flow-map-end token in YAML stream: "}" ()'],
    ['a name that is a list', '? [a]\n: b\n', '1:3 With stringKeys, all keys must be strings ()'],
    [
      'a tag of a program',
      'a: 1\nb: !!python/object x\n',
      '2:4 Unresolved tag: tag:yaml.org,2002:python/object ()',
    ],
    [
      'an alias of nothing',
      'a: *x\n',
      '1:1 Unresolved alias (the anchor must be set before the alias): x (write the values out instead of aliases)',
    ],
  ] as const) {
    test(what, () => {
      assert.deepEqual(problems(text), [words]);
      assert.deepEqual(parseFile('a.yaml', text).documents, []);
    });
  }

  test('every key that is there twice is said', () => {
    assert.deepEqual(
      problems('a: {x: 1, x: 2}\nb: 1\nb: 2\nb: 3\n')
        .map((one) => one.split(' ')[0])
        .sort(),
      ['1:11', '3:1', '4:1'],
    );
  });
});

describe('text made to do harm is refused', () => {
  test('aliases that would make billions of nodes', () => {
    const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
    for (let level = 1; level < 10; level += 1) {
      const before = Array.from({ length: 10 }, () => `*a${level - 1}`).join(', ');
      lines.push(`a${level}: &a${level} [${before}]`);
    }
    assert.match(
      only(problems(`${lines.join('\n')}\n`)),
      /^1:1 Excessive alias count .* \(write the values out/,
    );
  });

  for (const text of ['a: &a [*a]\n', 'a: &b {c: {d: *b}}\n', '&a a: 1\nkind: &k [1, [*k]]\n']) {
    test(`a value that holds itself: ${JSON.stringify(text)}`, () => {
      assert.deepEqual(problems(text), [
        '1:1 an alias stands inside of what it names (write the values out instead of aliases)',
      ]);
    });
  }

  test('thousands of brackets', () => {
    const found = problems(`a: ${'['.repeat(5_000)}${']'.repeat(5_000)}`);
    assert.ok(found.length > 0);
  });

  test('ten thousand keys are compared in less than five seconds', () => {
    const text = Array.from({ length: 10_000 }, (_, index) => `k${index}: 1`).join('\n');
    const start = performance.now();
    assert.equal(contents(text).length, 1);
    assert.ok(performance.now() - start < 5_000);
  });

  test('more than a policy file may have', () => {
    const text = `a: ${'x'.repeat(10 * 1024 * 1024)}\n`;
    assert.deepEqual(problems(text), [
      '1:1 the file has 10.0 MiB (a policy file has at most 1 MiB; split it, or move it out of the directory)',
    ]);
  });

  test('but not as much as it may have', () => {
    assert.equal(contents(`a: ${'x'.repeat(largestFileBytes - 3)}`).length, 1);
  });

  test('binary, at the place of its first zero', () => {
    assert.deepEqual(problems('a: 1\nb\0: 2\0'), [
      '2:2 the file is binary (write YAML as UTF-8 text, or move the file out of the directory)',
    ]);
  });
});
