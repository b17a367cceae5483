import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { policySchema } from '../../src/policy/policy-schema.ts';
import { errorsOf, header, long, shown, specOf } from './documents.ts';

type Way = readonly (string | number)[];

const mountFields = ['source', 'target', 'readOnly'];
const windowFields = ['schedule', 'durationMinutes', 'timezone'];

/** A spec with one value at the end of a way; what a list or a mount needs else is there. */
function at(way: Way, value: unknown, parent: Way[number] = ''): unknown {
  const [name, ...rest] = way;
  if (name === undefined) return value;
  const inner = at(rest, value, name);
  if (typeof name === 'number') return [inner];
  if (parent === 'reset') return { schedule: '@weekly', [name]: inner };
  if (parent === 'KEY') return { name: 'a', key: 'b', [name]: inner };
  const last = way.length === 1 && typeof name === 'string' ? name : '';
  const beside = mountFields.includes(last)
    ? { source: '/a', target: '/b' }
    : windowFields.includes(last)
      ? { schedule: '0 2 * * *', durationMinutes: 60 }
      : {};
  return { ...beside, [name]: inner };
}

function wayText(way: Way): string {
  return way.join('.');
}

interface Field {
  readonly way: Way;
  readonly good: readonly unknown[];
  readonly bad: readonly unknown[];
}

const notTexts = [1, true, [], {}, null];
const notMaps = ['a', 1, true, [], null];
const notLists = ['a', 1, {}, null];
const minutes = { good: [0, 0.5, 525_600], bad: [-1, 525_601, '30', true, null, []] };

const fields: readonly Field[] = [
  {
    way: ['groups'],
    good: [['data', 'ml-*']],
    bad: [[], Array.from({ length: 101 }, () => 'a'), 'data', 1, {}, null],
  },
  { way: ['groups', 0], good: ['a b', '*', long(256)], bad: ['', ' ', long(257), 1, null] },
  { way: ['priority'], good: [0, -1_000_000, 1_000_000], bad: [0.5, -1_000_001, 1_000_001, '1', null] },
  { way: ['image'], good: ['a', long(300)], bad: ['', ...notTexts] },
  { way: ['resources'], good: [{}], bad: notMaps },
  { way: ['resources', 'requests'], good: [{}], bad: notMaps },
  { way: ['resources', 'limits'], good: [{}], bad: notMaps },
  ...(['requests', 'limits'] as const).flatMap((kind) =>
    (['cpu', 'memory'] as const).map((name) => ({
      way: ['resources', kind, name],
      good: ['1', 1, 0.5],
      bad: [true, [], {}, null],
    })),
  ),
  { way: ['resources', 'limits', 'pids'], good: [16, 4_194_304], bad: [15, 4_194_305, 16.5, '16', null, []] },
  { way: ['packages'], good: [[], ['a', 'b']], bad: notLists },
  {
    way: ['packages', 0],
    good: ['g++', 'libc6-dev', '7zip', long(128)],
    bad: ['', '-y', 'a b', 'a\nb', long(129), 1, null, []],
  },
  { way: ['pipPackages'], good: [[], ['a']], bad: notLists },
  {
    way: ['pipPackages', 0],
    good: ['pandas==2.3.*', 'uvicorn[standard]>=0.30', long(256)],
    bad: ['', '--index-url=x', 'a b', long(257), 1, null],
  },
  { way: ['persistence'], good: [{}], bad: notMaps },
  { way: ['persistence', 'enabled'], good: [true, false], bad: ['yes', 'true', 1, null] },
  { way: ['persistence', 'size'], good: ['5Gi', 5], bad: [true, [], null] },
  { way: ['persistence', 'storageClass'], good: ['fast'], bad: ['', ...notTexts] },
  { way: ['idleTimeoutMinutes'], ...minutes },
  { way: ['contextRetentionDays'], good: [0, 0.5, 3650], bad: [-1, 3651, '30', null] },
  { way: ['env'], good: [{}, { TZ: 'x', _a1: '' }], bad: notMaps },
  { way: ['env', 'A'], good: ['', 'x\ny'], bad: notTexts },
  {
    way: ['secretEnv'],
    good: [{}, { KEY: { name: 'team-keys', key: 'openai' } }],
    bad: [...notMaps, { '1A': {} }],
  },
  {
    way: ['secretEnv', 'KEY'],
    good: [{ name: 'a', key: 'b' }],
    bad: [{}, { name: 'a' }, { key: 'b' }, { name: 'a', key: 'b', value: 'c' }, ...notMaps],
  },
  {
    way: ['secretEnv', 'KEY', 'name'],
    good: ['team-keys', 'a.b', '0', long(253)],
    bad: [
      '',
      '.',
      '..',
      '../a',
      'a/b',
      '/a',
      'a/..',
      'A',
      'a_b',
      '.a',
      'a..b',
      'a b',
      'a\0',
      long(254),
      1,
      null,
    ],
  },
  {
    way: ['secretEnv', 'KEY', 'key'],
    good: ['openai', '.env', 'A_b-c.d', 'a..b', long(253)],
    bad: ['', '.', '..', '..data', '../a', 'a/b', '/a', 'a b', 'a\0', 'ä', long(254), 1, null],
  },
  { way: ['podTemplate'], good: [{}, { spec: {} }], bad: [{ kind: 'Pod' }, ...notMaps] },
  { way: ['podTemplate', 'metadata'], good: [{}], bad: [{ name: 'a' }, ...notMaps] },
  { way: ['podTemplate', 'metadata', 'labels'], good: [{}, { team: 'data' }], bad: [{ a: 1 }, ...notMaps] },
  { way: ['podTemplate', 'metadata', 'annotations'], good: [{}, { a: 'b' }], bad: [{ a: true }, ...notMaps] },
  { way: ['podTemplate', 'spec'], good: [{}, { nodeSelector: { a: 'b' }, tolerations: [] }], bad: notMaps },
  { way: ['egress'], good: [{ allowedDomains: [] }], bad: [{}, ...notMaps] },
  { way: ['egress', 'allowedDomains'], good: [[]], bad: notLists },
  {
    way: ['egress', 'allowedDomains', 0],
    good: ['example.org', '*.example.org', 'a-b.c', 'localhost', '10.0.0.1', `${long(63)}.org`],
    bad: [
      '',
      '*',
      'https://example.org',
      'example.org/a',
      'example.org:443',
      'a..b',
      '-a.org',
      '*.*.org',
      long(254),
      1,
      null,
    ],
  },
  { way: ['mounts'], good: [[]], bad: notLists },
  {
    way: ['mounts', 0],
    good: [{ source: '/a', target: '/b' }],
    bad: [{}, { source: '/a' }, { target: '/b' }, ...notMaps],
  },
  { way: ['mounts', 0, 'source'], good: ['/', '/srv/a b'], bad: ['', 'srv', './srv', '/a\0', 1, null] },
  { way: ['mounts', 0, 'target'], good: ['/mnt', '/a b'], bad: ['', '/', 'mnt', '/a\0', 1, null] },
  { way: ['mounts', 0, 'readOnly'], good: [true, false], bad: ['no', 1, null] },
  { way: ['rollout'], good: [{}], bad: notMaps },
  { way: ['rollout', 'when'], good: ['idle', 'nextStart', 'now'], bad: ['', 'never', 'Idle', 1, null] },
  { way: ['rollout', 'idleAfterMinutes'], ...minutes },
  { way: ['rollout', 'maxDelayMinutes'], ...minutes },
  {
    way: ['rollout', 'maxUnavailable'],
    good: [1, 10_000, '0%', '10%', '100%'],
    bad: [0, 10_001, -1, 1.5, '10', '101%', '-1%', '1.5%', true, null, []],
  },
  { way: ['rollout', 'pauseOnFailures'], good: [1, 1_000], bad: [0, 1_001, 1.5, '3', true, null] },
  {
    way: ['rollout', 'window'],
    good: [{ schedule: '0 2 * * *', durationMinutes: 60 }],
    bad: [...notMaps, {}],
  },
  {
    way: ['rollout', 'window', 'schedule'],
    good: ['0 2 * * 1-5'],
    bad: ['', 'x'.repeat(101), ...notTexts],
  },
  {
    way: ['rollout', 'window', 'durationMinutes'],
    good: [1, 10_080],
    bad: [0, 10_081, '60', true, null],
  },
  { way: ['rollout', 'window', 'timezone'], good: ['UTC', 'Europe/Berlin'], bad: ['', ...notTexts] },
  { way: ['reset'], good: [{ schedule: '@weekly' }], bad: [...notMaps, {}] },
  { way: ['reset', 'schedule'], good: ['@weekly', '0 3 * * 1'], bad: ['', 'x'.repeat(101), ...notTexts] },
  { way: ['reset', 'timezone'], good: ['UTC', 'Europe/Berlin'], bad: ['', ...notTexts] },
  {
    way: ['reset', 'keep'],
    good: [[], ['notes']],
    bad: [Array.from({ length: 101 }, () => 'a'), ...notLists],
  },
  { way: ['reset', 'keep', 0], good: ['notes', '.config/git', long(1024)], bad: ['', long(1025), 1, null] },
  { way: ['startTimeoutSeconds'], good: [1, 3600], bad: [0, 3601, 1.5, '15', null] },
  { way: ['warm'], good: [0, 1, 100], bad: [-1, 101, 1.5, '2', true, null] },
  { way: ['suspend'], good: [true, false], bad: ['no', 0, null] },
];

for (const { way, good, bad } of fields) {
  describe(`spec.${wayText(way)}`, () => {
    for (const value of good) {
      test(`takes ${shown(value)}`, () => void specOf(at(way, value)));
    }
    for (const value of bad) {
      test(`refuses ${shown(value)}, with its place and nothing else`, () => {
        const errors = errorsOf({ ...header, spec: at(way, value) });
        for (const { path, message } of errors) {
          assert.equal(wayText(path.slice(0, way.length + 1)), wayText(['spec', ...way]));
          assert.ok(message.length > 5, message);
        }
      });
    }
  });
}

test('every field of the schema has its cases here', () => {
  const tested = new Set(fields.map(({ way }) => wayText(way)));
  const missing = fieldsOf(policySchema.$defs.spec).filter((way) => !tested.has(way));
  assert.deepEqual(missing, []);
});

/** The ways to all fields that a part of the schema names. */
function fieldsOf(node: unknown, before = ''): readonly string[] {
  if (typeof node !== 'object' || node === null) return [];
  const properties =
    'properties' in node && typeof node.properties === 'object' ? (node.properties ?? {}) : {};
  const named = Object.entries(properties).flatMap(([name, part]) => [
    `${before}${name}`,
    ...fieldsOf(part, `${before}${name}.`),
  ]);
  return 'items' in node ? [`${before}0`, ...fieldsOf(node.items, `${before}0.`)] : named;
}
