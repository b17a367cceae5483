import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { errorsOf, header, long, wrongIn } from './documents.ts';

describe('an unknown field', () => {
  for (const [spec, words] of [
    [{ imgae: 'a' }, 'spec.imgae: the field "imgae" is not known (did you mean "image"?)'],
    [
      { idletimeoutminutes: 1 },
      'spec.idletimeoutminutes: the field "idletimeoutminutes" is not known (did you mean "idleTimeoutMinutes"?)',
    ],
    [
      { resources: { limit: {} } },
      'spec.resources.limit: the field "limit" is not known (did you mean "limits"?)',
    ],
    [
      { resources: { limits: { mem: 1 } } },
      'spec.resources.limits.mem: the field "mem" is not known (the fields here are cpu, memory, pids)',
    ],
    [
      { mounts: [{ source: '/a', target: '/b', readonly: false }] },
      'spec.mounts.0.readonly: the field "readonly" is not known (did you mean "readOnly"?)',
    ],
    [
      { egress: { allowedDomains: [], allowed: [] } },
      'spec.egress.allowed: the field "allowed" is not known (the fields here are allowedDomains)',
    ],
  ] as const) {
    test(`is refused: ${words}`, () => assert.deepEqual(wrongIn(spec), [words]));
  }

  test('is refused beside the spec, too, and its name is the place', () => {
    const [error] = errorsOf({ ...header, sepc: {} });
    assert.deepEqual(error, {
      path: ['sepc'],
      atName: true,
      message: 'the field "sepc" is not known',
      hint: 'did you mean "spec"?',
    });
  });

  test('of a name that every object has is refused like any other', () => {
    const spec = JSON.parse('{"__proto__": {"image": "a"}, "constructor": 1}');
    assert.deepEqual(
      new Set(errorsOf({ ...header, spec }).map(({ path }) => path.join('.'))),
      new Set(['spec.__proto__', 'spec.constructor']),
    );
  });

  test('of enormous length has no guess, and the fields that there are are listed', () => {
    assert.match(String(wrongIn({ [long(200)]: 1 })[0]), /the fields here are .*image/);
  });
});

describe('the words of a problem', () => {
  for (const [spec, words] of [
    [{ groups: [''] }, 'spec.groups.0: it is empty ()'],
    [{ groups: [] }, 'spec.groups: it is empty (write for example ["data","ml-*"])'],
    [
      { reset: { schedule: '@daily', keep: [''] } },
      'spec.reset.keep.0: it is empty (write for example ".config/git")',
    ],
    [
      { env: { DEBUG: true } },
      'spec.env.DEBUG: this is a boolean, not a text (put it in quotes, as it is written)',
    ],
    // As a number it may be another one by now: 3.10, 0123456.
    [{ image: 3.1 }, 'spec.image: this is the number 3.1, not a text (put it in quotes, as it is written)'],
    [
      { packages: 'graphviz' },
      'spec.packages: this is the string "graphviz", not a list (write for example ["graphviz","ffmpeg"])',
    ],
    [{ suspend: 'no' }, 'spec.suspend: this is the string "no", not true or false (write for example false)'],
    [
      { resources: { limits: { cpu: true } } },
      'spec.resources.limits.cpu: this is the boolean true, not a text or a number (write for example "2")',
    ],
    [{ resources: null }, 'spec.resources: this is empty, not a map (write for example {})'],
    [
      { rollout: { when: 'later' } },
      'spec.rollout.when: "later" is not one of its values (write "idle" or "nextStart" or "now")',
    ],
    [{ idleTimeoutMinutes: -1 }, 'spec.idleTimeoutMinutes: it must be >= 0 (write for example 30)'],
    [
      { env: { '1A': 'x' } },
      'spec.env.1A: "1A" is not a name of a variable (use letters, digits and _, no digit first)',
    ],
    [
      { packages: ['a b'] },
      'spec.packages.0: "a b" is not of the right form (one package in each entry, without spaces, beginning with a letter or digit)',
    ],
    [
      { mounts: [{ source: 'a', target: '/b' }] },
      'spec.mounts.0.source: "a" is not of the right form (write an absolute path such as /srv/datasets)',
    ],
    [
      { egress: { allowedDomains: ['https://a.b'] } },
      'spec.egress.allowedDomains.0: "https://a.b" is not of the right form (write a domain such as git.example.com or *.example.org, without scheme, port or path)',
    ],
  ] as readonly (readonly [spec: unknown, words: string])[]) {
    test(words, () => assert.deepEqual(wrongIn(spec), [words]));
  }

  for (const spec of [
    { env: { DB_PIN: 48213377 } },
    { env: 'DB_PIN=48213377' },
    { env: { DB_PIN: ['48213377'] } },
    { secretEnv: { DB_PIN: '48213377' } },
    { secretEnv: { DB_PIN: { name: 'PIN 48213377', key: 48213377 } } },
    { podTemplate: '48213377' },
    { podTemplate: { metadata: { annotations: { pin: 48213377 } } } },
    { podTemplate: { spec: '48213377' } },
  ]) {
    test(`never hold a value that may be secret: ${JSON.stringify(spec)}`, () => {
      assert.doesNotMatch(wrongIn(spec).join(), /48213377/);
    });
  }

  test('quote a long value in part', () => {
    const [words] = wrongIn({ packages: [`${long(2000)} b`] });
    assert.ok(String(words).length < 400, words ?? '');
  });
});
