/**
 * Tables for people: aligned columns, colour where the output wants it.
 * @module
 */
import { styleText } from 'node:util';

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

export type Style = 'red' | 'green' | 'yellow' | 'cyan' | 'dim' | 'bold';

/** Text, or text with a style that is used only in colour. */
export type Cell = string | { readonly text: string; readonly style: Style };

// Ids come from outside: a control character would move the cursor, a bidirectional one would reorder the line.
const unprintable = /[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu;

/** The text without what would act on a terminal. */
export function printable(text: string): string {
  return text.replace(unprintable, '\ufffd');
}

/** Columns of these titles, aligned to the left. */
export function titles(...names: readonly string[]): readonly Column[] {
  return names.map((title) => ({ title }));
}

/** One line a row under one of titles, each ending with a line feed; nothing at the end of a line but its text. */
export function renderTable(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  { colour }: { readonly colour: boolean },
): string {
  const titles = columns.map(({ title }): Cell => ({ text: title, style: 'dim' }));
  const lines = [titles, ...rows];
  const widths = columns.map((_, index) => Math.max(...lines.map((line) => width(plain(line[index])))));
  return lines.map((line) => `${renderLine(columns, line, widths, colour)}\n`).join('');
}

function renderLine(
  columns: readonly Column[],
  line: readonly Cell[],
  widths: readonly number[],
  colour: boolean,
): string {
  const cells = columns.map(({ align }, index) => {
    const cell = line[index] ?? '';
    const text = plain(cell);
    const space = ' '.repeat(Math.max(0, (widths[index] ?? 0) - width(text)));
    const shown =
      colour && typeof cell === 'object' ? styleText(cell.style, text, { validateStream: false }) : text;
    return align === 'right' ? `${space}${shown}` : `${shown}${space}`;
  });
  return cells.join('  ').trimEnd();
}

function plain(cell: Cell | undefined): string {
  const text = typeof cell === 'object' ? cell.text : (cell ?? '');
  return printable(text);
}

/** In characters as a reader counts them. */
function width(text: string): number {
  return [...new Intl.Segmenter(undefined, { granularity: 'grapheme' }).segment(text)].length;
}
