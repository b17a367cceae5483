import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseCpu, parseMemory } from '../../src/terminal/quantity.ts';

test('CPU is in thousandths of a core', () => {
  const cases: [string | number, number][] = [
    ['1', 1000],
    [1, 1000],
    [0.5, 500],
    ['500m', 500],
    ['1.5', 1500],
    ['100u', 1],
    ['2e0', 2000],
    ['.1', 100],
    ['0.1', 100],
  ];
  for (const [text, expected] of cases) assert.equal(parseCpu(text), expected, String(text));
});

test('memory is in bytes', () => {
  const cases: [string | number, number][] = [
    ['1Gi', 2 ** 30],
    ['512Mi', 512 * 2 ** 20],
    ['1G', 1e9],
    ['1M', 1e6],
    ['1k', 1000],
    ['1e3', 1000],
    ['128974848', 128974848],
    [4096, 4096],
    ['1.5Gi', 1.5 * 2 ** 30],
    ['1Ti', 2 ** 40],
  ];
  for (const [text, expected] of cases) assert.equal(parseMemory(text), expected, String(text));
});

test('what is no quantity is refused', () => {
  for (const text of [
    '',
    'x',
    '1x',
    '1GB',
    '1 Gi',
    '-',
    'Gi',
    '1..2',
    '1e',
    'NaN',
    'Infinity',
    '0x10',
    '1KI',
  ]) {
    assert.throws(() => parseCpu(text), RangeError, text);
    assert.throws(() => parseMemory(text), RangeError, text);
  }
});

test('zero and less are refused', () => {
  for (const text of ['0', '-1', '0m', '-1Gi']) {
    assert.throws(() => parseCpu(text), RangeError, text);
    assert.throws(() => parseMemory(text), RangeError, text);
  }
});
