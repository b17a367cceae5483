/**
 * Text of a file → its YAML documents, with the place of every field.
 * @module
 */
import {
  isMap,
  isPair,
  isScalar,
  LineCounter,
  type Node,
  parseAllDocuments,
  type Document as YamlDocument,
} from 'yaml';
import type { Place, Problem } from './policy.ts';
import { holdsItself, repeatedKeys } from './yaml-hazards.ts';

/** More than any policy needs; a larger file is a mistake. */
export const largestFileBytes = 1024 * 1024;
/** Resolving anchors may not make more of a file than this many nodes each: "billion laughs" ends here. */
const maxAliasCount = 100;

/** One document of a file, parsed. */
export interface ParsedDocument {
  readonly content: unknown;
  /** Where a field stands; with `atName` its name rather than its value. The nearest parent where it is not there. */
  place(path: readonly (string | number)[], atName?: boolean): Place;
}

export interface ParsedFile {
  readonly documents: readonly ParsedDocument[];
  readonly problems: readonly Problem[];
}

/** Never throws: whatever is wrong with the text is a problem with its place. Documents that say nothing are left out. */
export function parseFile(file: string, text: string): ParsedFile {
  const refused = refuse(file, text);
  if (refused) return { documents: [], problems: [refused] };
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, {
    version: '1.2',
    lineCounter: lines,
    prettyErrors: false,
    // Looked for by `repeatedKeys`.
    uniqueKeys: false,
    stringKeys: true,
    merge: true,
  });
  if ('empty' in parsed && parsed.empty) return { documents: [], problems: [] };

  const documents: ParsedDocument[] = [];
  const problems: Problem[] = [];
  for (const document of parsed) {
    for (const { pos, message, code } of [...document.errors, ...document.warnings]) {
      problems.push(problem(at(file, lines, pos[0]), message, yamlHint(code)));
    }
    if (document.errors.length + document.warnings.length > 0 || document.contents === null) continue;
    const content = resolve(file, lines, document, problems);
    if (content !== undefined && content !== null) {
      documents.push({
        content,
        place: (path, atName) => placeOf(file, lines, document, path, atName ?? false),
      });
    }
  }
  return { documents, problems };
}

/** Whether nothing at all is in the text, not even a comment. */
export function isEmpty(text: string): boolean {
  return text.trim() === '';
}

function refuse(file: string, text: string): Problem | null {
  const start = { file, line: 1, column: 1 };
  if (text.length > largestFileBytes) {
    const mib = (text.length / 1024 / 1024).toFixed(1);
    return problem(
      start,
      `the file has ${mib} MiB`,
      'a policy file has at most 1 MiB; split it, or move it out of the directory',
    );
  }
  // Whoever writes a file anew empties it first. One of comments alone is meant so.
  if (isEmpty(text)) {
    const empty = problem(start, 'the file is empty', 'delete it to remove its policies');
    return { ...empty, severity: 'warning' };
  }
  const nul = text.indexOf('\0');
  if (nul === -1) return null;
  const before = text.slice(0, nul).split('\n');
  const place = { file, line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
  return problem(
    place,
    'the file is binary',
    'write YAML as UTF-8 text, or move the file out of the directory',
  );
}

function resolve(
  file: string,
  lines: LineCounter,
  document: YamlDocument.Parsed,
  problems: Problem[],
): unknown {
  try {
    const repeated = repeatedKeys(document);
    for (const offset of repeated) {
      problems.push(problem(at(file, lines, offset), 'this key is in its map twice', 'keep one of the two'));
    }
    if (repeated.length > 0) return undefined;
    const content = document.toJS({ maxAliasCount });
    if (holdsItself(content)) throw new Error('an alias stands inside of what it names');
    return content;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    problems.push(
      problem(at(file, lines, document.range[0]), message, 'write the values out instead of aliases'),
    );
    return undefined;
  }
}

function yamlHint(code: string): string {
  switch (code) {
    case 'TAB_AS_INDENT':
      return 'indent with spaces';
    case 'BAD_INDENT':
      return 'indent the fields of one map alike';
    default:
      return '';
  }
}

function problem(place: Place, message: string, hint: string): Problem {
  return { ...place, severity: 'error', path: '', message: message.trim(), hint };
}

function at(file: string, lines: LineCounter, offset: number): Place {
  const { line, col } = lines.linePos(offset);
  return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
}

function placeOf(
  file: string,
  lines: LineCounter,
  document: YamlDocument.Parsed,
  path: readonly (string | number)[],
  atName: boolean,
): Place {
  const whole: Place = at(file, lines, document.contents?.range?.[0] ?? document.range[0]);
  for (let length = path.length; length > 0; length -= 1) {
    const part = path.slice(0, length);
    const name = nameNode(document, part);
    const value = document.getIn(part, true);
    const offset = (atName && length === path.length ? name : undefined) ?? rangeStart(value) ?? name;
    if (offset !== undefined) return at(file, lines, offset);
  }
  return whole;
}

/** The offset of a field's own name in its map. */
function nameNode(document: YamlDocument.Parsed, path: readonly (string | number)[]): number | undefined {
  const parent = path.length === 1 ? document.contents : document.getIn(path.slice(0, -1), true);
  if (!isMap(parent)) return undefined;
  const pair = parent.items.find(
    (item) => isPair(item) && isScalar(item.key) && item.key.value === path.at(-1),
  );
  return rangeStart(pair?.key);
}

function rangeStart(node: unknown): number | undefined {
  if (typeof node !== 'object' || node === null || !('range' in node)) return undefined;
  return (node as Node).range?.[0];
}
