/** One file of a source → the policies and defaults that it declares, not yet checked as a whole. @module */

import { isMap } from '../json.ts';
import type { Finding } from './check.ts';
import { isEmpty, type ParsedDocument, parseFile } from './document.ts';
import { Layer } from './layers.ts';
import type { Problem, SourceFile } from './policy.ts';
import { placed, type Said, sayFindings } from './problems.ts';
import { checkStructure } from './schema.ts';

/** A document that declares a policy of that name; what is in it may be wrong in any way. */
export interface Draft {
  readonly file: string;
  readonly id: string;
  /** The policy that it extends; null: none. */
  readonly parent: string | null;
  readonly document: ParsedDocument;
}

/** What a file says. */
export interface FileReading {
  readonly path: string;
  readonly drafts: readonly Draft[];
  /** Good in themselves. */
  readonly defaults: readonly Layer[];
  /** Where defaults stand that can't be read; null: nowhere. */
  readonly brokenDefaults: Pick<Problem, 'file' | 'line' | 'column'> | null;
  /** Some of it could not be read, or has no name, so that it may be anything. */
  readonly partlyUnreadable: boolean;
  /** Nothing is in it, which nobody means to say anything by: it counts as unreadable. */
  readonly isEmpty: boolean;
  readonly said: readonly Said[];
}

const apiGroup = 'terminals.openwebui.com/';
/** Of text that is no YAML: whether it was to be the defaults. */
const defaultsKind = /^kind:\s*["']?PolicyDefaults\b/m;

/** Never throws: whatever is wrong with the file is said. */
export function readSourceFile(file: SourceFile): FileReading {
  const { path } = file;
  const start = { file: path, line: 1, column: 1 };
  if ('unreadable' in file) {
    const hint = file.hint ?? 'make it readable, or move it out of the directory';
    const problem = placed(start, 'error', [], file.unreadable, hint);
    return {
      path,
      drafts: [],
      defaults: [],
      brokenDefaults: null,
      partlyUnreadable: file.declaresNothing !== true,
      isEmpty: false,
      said: [{ problem, heir: null }],
    };
  }
  const { documents, problems } = parseFile(path, file.text);
  const unparsed = problems.map((problem): Said => ({ problem, heir: null }));
  const read = documents.map((document) => readDocument(path, document));
  const defaults = read.flatMap((one) => (one.kind === 'defaults' ? one : []));
  const broken = defaults.find(({ layer }) => layer === null);
  const guessed = problems.length > 0 && defaults.length === 0 && defaultsKind.test(file.text);
  return {
    path,
    drafts: read.flatMap((one) => (one.kind === 'draft' ? one.draft : [])),
    defaults: defaults.flatMap(({ layer }) => layer ?? []),
    brokenDefaults: broken?.place ?? (guessed ? start : null),
    partlyUnreadable: problems.length > 0 || read.some(({ kind }) => kind === 'unnamed'),
    isEmpty: isEmpty(file.text),
    said: [...unparsed, ...read.flatMap((one) => ('said' in one ? one.said : []))],
  };
}

type ReadDocument =
  | { readonly kind: 'draft'; readonly draft: Draft }
  | {
      readonly kind: 'defaults';
      readonly layer: Layer | null;
      readonly place: ReturnType<ParsedDocument['place']>;
      readonly said: readonly Said[];
    }
  | { readonly kind: 'unnamed' | 'foreign'; readonly said: readonly Said[] };

function readDocument(file: string, document: ParsedDocument): ReadDocument {
  const { content } = document;
  if (isMap(content) && content.kind === 'PolicyDefaults') {
    const said = structureOf(document);
    const layer = said.length === 0 ? Layer.of(document) : null;
    return { kind: 'defaults', layer, place: document.place([]), said };
  }
  const id = nameOf(content);
  if (isForeign(content, id)) return { kind: 'foreign', said: structureOf(document) };
  if (id === null) return { kind: 'unnamed', said: structureOf(document) };
  const parent = isMap(content) && typeof content.extends === 'string' ? content.extends : null;
  return { kind: 'draft', draft: { file, id, parent, document } };
}

/** Whether a document is for somebody else, such as Kustomize or Compose: no mistake makes that of a policy. */
function isForeign(content: unknown, name: string | null): boolean {
  // A single text may be a file that was cut short, or the pointer that Git LFS leaves in its place.
  if (!isMap(content)) return Array.isArray(content);
  const { apiVersion, kind } = content;
  if (typeof apiVersion === 'string' && apiVersion.startsWith(apiGroup)) return false;
  if (name === null) return apiVersion !== undefined || kind !== 'Policy';
  return typeof apiVersion === 'string' && typeof kind === 'string' && kind !== 'Policy';
}

/** What is wrong with the structure of a document by itself. */
function structureOf(document: ParsedDocument): readonly Said[] {
  const checked = checkStructure(document.content, {});
  if (checked.ok) return [];
  const findings = checked.errors.map((error): Finding => ({ severity: 'error', ...error }));
  return sayFindings(findings, '', ({ path, atName }) => ({
    place: document.place(path, atName),
    inherited: false,
  }));
}

function nameOf(content: unknown): string | null {
  const metadata = isMap(content) ? content.metadata : null;
  const name = isMap(metadata) ? metadata.name : null;
  return typeof name === 'string' ? name : null;
}
