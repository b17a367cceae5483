import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stripVTControlCharacters } from 'node:util';
import { renderTable } from '../../src/command/table.ts';

const columns = [{ title: 'USER' }, { title: 'CPU', align: 'right' }, { title: 'PHASE' }] as const;

test('columns are as wide as their widest cell and lines end with their text', () => {
  const text = renderTable(
    columns,
    [
      ['alice', '1000', 'Running'],
      ['b', '5', 'Idle'],
    ],
    { colour: false },
  );
  assert.equal(text, 'USER    CPU  PHASE\nalice  1000  Running\nb         5  Idle\n');
});

test('a line whose last cell is empty has no space at its end', () => {
  assert.equal(renderTable(columns, [['alice', '1', '']], { colour: false }).split('\n')[1], 'alice    1');
});

test('without rows the titles stand alone', () => {
  assert.equal(renderTable(columns, [], { colour: false }), 'USER  CPU  PHASE\n');
});

test('a row with too few cells is filled up', () => {
  assert.equal(renderTable(columns, [['alice']], { colour: false }).split('\n')[1], 'alice');
});

test('styles are left out without colour', () => {
  const text = renderTable(columns, [['a', '1', { text: 'Error', style: 'red' }]], { colour: false });
  assert.equal(text, stripVTControlCharacters(text));
});

test('in colour a cell is styled and the columns stay aligned', () => {
  const rows = [
    [{ text: 'a', style: 'red' }, '1', 'Idle'],
    ['bbb', '22', 'Idle'],
  ] as const;
  const text = renderTable(columns, rows, { colour: true });
  assert.ok(text.includes('\u001b[31ma\u001b[39m'));
  assert.equal(stripVTControlCharacters(text), renderTable(columns, rows, { colour: false }));
});

test('control and direction characters of an id never reach the terminal', () => {
  const text = renderTable(columns, [['a\u001b[2Jb\n\u202ec', '1', 'x']], { colour: false });
  assert.equal(text.split('\n')[1], 'a\ufffd[2Jb\ufffd\ufffdc    1  x');
});

test('an accented or composed character counts as one', () => {
  const text = renderTable(
    columns,
    [
      ['e\u0301', '1', 'x'],
      ['👩‍💻', '1', 'x'],
    ],
    { colour: false },
  );
  assert.deepEqual(text.split('\n').slice(1, 3), ['e\u0301       1  x', '👩‍💻       1  x']);
});
