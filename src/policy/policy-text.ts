/**
 * Editing the text of a policy file: one document changes, comments stay, every other document stays byte for byte.
 * @module
 */
import { isDeepStrictEqual } from 'node:util';
import {
  isMap,
  isNode,
  isScalar,
  parseAllDocuments,
  stringify,
  type ToStringOptions,
  type Document as YamlDocument,
} from 'yaml';

/** One field to set, or to take out. */
export interface Edit {
  /** From the document's root, e.g. `['spec', 'image']`. */
  readonly path: readonly string[];
  /** undefined: it is taken out, so that its default counts. */
  readonly value: unknown;
}

/** A file after a change, and on which of its lines the changed document is. */
export interface EditedText {
  readonly text: string;
  readonly lines: { readonly first: number; readonly last: number };
}

/** The text can't be edited by a program; says why. */
export class NotEditableError extends Error {}

interface Part {
  readonly text: string;
  readonly line: number;
  readonly document: YamlDocument.Parsed;
  readonly content: unknown;
}

const parseOptions = { version: '1.2', uniqueKeys: false, stringKeys: true, merge: true } as const;
const maxAliasCount = 100;

/** The text of a file that declares one policy and nothing of it. */
export function newDocument(id: string): string {
  const name = stringify(id, { lineWidth: 0, blockQuote: false });
  return `apiVersion: terminals.openwebui.com/v1alpha1\nkind: Policy\nmetadata:\n  name: ${name}`;
}

/**
 * Changes fields of the policy's document.
 * @param line where the document begins, as far as is known
 * @throws NotEditableError
 */
export function editDocument(text: string, id: string, line: number, edits: readonly Edit[]): EditedText {
  const parts = partsOf(text);
  const index = indexOf(parts, id, line);
  const part = parts[index];
  if (part === undefined) throw new NotEditableError(`it has no policy "${id}" any more`);
  const wanted = edits.reduce(withEdit, part.content);
  // Nothing of the writing changes where nothing of the meaning does.
  const ways = isDeepStrictEqual(wanted, part.content) ? [part.text] : editedParts(part, edits);
  const contents = parts.map(({ content }, at) => (at === index ? wanted : content));
  const first = 1 + parts.slice(0, index).reduce((sum, each) => sum + newlines(each.text), 0);
  for (const way of ways) {
    const next = parts.map((each, at) => (at === index ? way : each.text)).join('');
    if (says(next, contents)) return { text: next, lines: { first, last: first + newlines(way) } };
  }
  throw new NotEditableError(otherMeaning);
}

/**
 * Takes the policy's document out.
 * @returns the text of the others; null where there is no other
 * @throws NotEditableError
 */
export function removeDocument(text: string, id: string, line: number): string | null {
  const parts = partsOf(text);
  const index = indexOf(parts, id, line);
  if (index === -1) throw new NotEditableError(`it has no policy "${id}" any more`);
  const rest = parts.filter((_part, at) => at !== index);
  if (rest.every(({ content }) => content === null)) return null;
  const next = rest.map((part) => part.text).join('');
  const contents = rest.map(({ content }) => content);
  if (!says(next, contents)) throw new NotEditableError(otherMeaning);
  return next;
}

/** The documents of a file, whose texts put together are the file's. */
function partsOf(text: string): readonly Part[] {
  const parsed = parseAllDocuments(text, parseOptions);
  if ('empty' in parsed && parsed.empty) return [];
  const documents = [...parsed];
  let from = 0;
  return documents.map((document, index) => {
    const [problem] = [...document.errors, ...document.warnings];
    if (problem) throw new NotEditableError(`it is not valid YAML: ${problem.message}`);
    const to = index === documents.length - 1 ? text.length : document.range[2];
    const part = text.slice(from, to);
    from = to;
    const start = document.contents?.range?.[0] ?? document.range[0];
    return { text: part, line: newlines(text.slice(0, start)) + 1, document, content: contentOf(document) };
  });
}

function contentOf(document: YamlDocument.Parsed): unknown {
  try {
    return document.toJS({ maxAliasCount });
  } catch (error) {
    throw new NotEditableError(`its aliases can't be resolved: ${reason(error)}`);
  }
}

/** Where two documents have the name, the one on that line is meant, else the first. */
function indexOf(parts: readonly Part[], id: string, line: number): number {
  const named = parts.filter(({ content }) => nameOf(content) === id);
  const meant = named.find((part) => part.line === line) ?? named[0];
  return meant === undefined ? -1 : parts.indexOf(meant);
}

function nameOf(content: unknown): unknown {
  if (isRecord(content) && content.kind === 'PolicyDefaults') return undefined;
  const metadata = isRecord(content) ? content.metadata : undefined;
  return isRecord(metadata) ? metadata.name : undefined;
}

/** The ways to write the document after the edits, the one nearest to how it is written now first. */
function editedParts({ text, document }: Part, edits: readonly Edit[]): readonly string[] {
  try {
    const style = styleOf(text, document);
    const before = document.toString(style);
    for (const edit of edits) apply(document, edit);
    const after = document.toString(style);
    const source = text.replace(/^\uFEFF/, '').replaceAll('\r\n', '\n');
    const ended = source.endsWith('\n') ? source : `${source}\n`;
    return [rewrite(ended, before, after), after].map((written) => {
      const lines = text.includes('\r\n') ? written.replaceAll('\n', '\r\n') : written;
      return text.startsWith('\uFEFF') ? `\uFEFF${lines}` : lines;
    });
  } catch (error) {
    throw new NotEditableError(`the policy can't be edited: ${reason(error)}`);
  }
}

/** Lines that the library writes as it did before the edits stay as they are in the source, with their own spacing. */
function rewrite(source: string, before: string, after: string): string {
  const [own, written] = [source.split('\n'), before.split('\n')];
  if (own.length !== written.length) return after;
  const byLine = new Map<string, string[]>();
  for (const [index, line] of written.entries()) {
    byLine.set(line, [...(byLine.get(line) ?? []), own[index] ?? line]);
  }
  return after
    .split('\n')
    .map((line) => byLine.get(line)?.shift() ?? line)
    .join('\n');
}

function apply(document: YamlDocument.Parsed, { path, value }: Edit): void {
  if (value === undefined) {
    if (document.hasIn(path)) document.deleteIn(path);
    return;
  }
  // What is there without a value ("spec:") becomes a map.
  for (let length = 1; length < path.length; length += 1) {
    const parent = path.slice(0, length);
    const node = document.getIn(parent, true);
    if (isScalar(node) && node.value === null) document.setIn(parent, document.createNode({}));
    if (isMap(node) && node.items.length === 0) node.flow = false;
  }
  const before = document.getIn(path, true);
  if (typeof value !== 'object') return void document.setIn(path, value);
  const node = document.createNode(value);
  if (isNode(before) && before.comment) node.comment = before.comment;
  document.setIn(path, node);
}

/** Of the ways to write YAML the one that comes nearest to how the document is written now. */
function styleOf(text: string, document: YamlDocument.Parsed): ToStringOptions {
  const indents = new Set([/^( {1,8})[^\s#-]/m.exec(text)?.[1]?.length ?? 2, 2]);
  const styles = [...indents].flatMap((indent) =>
    [true, false].flatMap((indentSeq) =>
      [true, false].map((flowCollectionPadding) => ({
        indent,
        indentSeq,
        flowCollectionPadding,
        lineWidth: 0,
      })),
    ),
  );
  const now = text.split(/\r?\n/);
  const differing = (style: ToStringOptions) => {
    const lines = new Set(document.toString(style).split('\n'));
    return now.filter((line) => !lines.has(line)).length;
  };
  const [best] = styles
    .map((style) => ({ style, lines: differing(style) }))
    .sort((a, b) => a.lines - b.lines);
  return best?.style ?? {};
}

const otherMeaning = 'its anchors, merges or tags make the change mean something else';

/** Anchors, merges and tags can make an edit mean more, or less, than it says: then nothing is written. */
function says(text: string, contents: readonly unknown[]): boolean {
  try {
    return isDeepStrictEqual(
      partsOf(text).map(({ content }) => content),
      contents,
    );
  } catch {
    return false;
  }
}

function withEdit(content: unknown, { path, value }: Edit): unknown {
  const [name, ...rest] = path;
  if (name === undefined) return value;
  const map = isRecord(content) ? content : {};
  if (value === undefined && !(name in map)) return content;
  const next = withEdit(map[name], { path: rest, value });
  const { [name]: _before, ...others } = map;
  if (next === undefined) return others;
  return { ...map, [name]: next };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function newlines(text: string): number {
  return text.split('\n').length - 1;
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
