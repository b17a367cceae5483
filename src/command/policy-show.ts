/** One policy as it is in force, as YAML or JSON, with the place that each value comes from. @module */
import { isMap, isScalar, isSeq, LineCounter, parseDocument, stringify } from 'yaml';
import { builtinFile, isBuiltin } from '../policy/builtin.ts';
import { pointer } from '../policy/layers.ts';
import type { Place, Policy } from '../policy/policy.ts';
import { policySchema } from '../policy/policy-schema.ts';

type Path = readonly (string | number)[];

export interface ShowOptions {
  /** Say where each value comes from. */
  readonly effective: boolean;
  /** Variables of the configuration that are the default of a field where they are set: field → variable. */
  readonly configured: Readonly<Record<string, string>>;
}

/** A document that declares the very same policy, without extending another one. */
export function policyYaml(policy: Policy, options: ShowOptions): string {
  const { id, declaredAt } = policy;
  const from = declaredAt.file === builtinFile ? declaredAt.file : placeText(declaredAt);
  const parent = policy.extends === undefined ? '' : `, extends ${policy.extends}`;
  const text = stringify(documentOf(policy), { lineWidth: 0 });
  return `# ${id}: ${from}${parent}\n${options.effective ? commented(text, policy, options) : text}`;
}

/** Each value begins on a line of its own, at whose end its origin is said. */
function commented(text: string, policy: Policy, options: ShowOptions): string {
  const counter = new LineCounter();
  const { contents } = parseDocument(text, { lineCounter: counter });
  const lines = text.split('\n');
  for (const { offset, path } of valuesIn(contents)) {
    const [first, ...inSpec] = path;
    const line = counter.linePos(offset).line - 1;
    if (first === 'spec') lines[line] = `${lines[line]} # ${originText(policy, inSpec, options)}`;
  }
  return lines.join('\n');
}

/** What has nothing in it: single values, and empty maps and lists. */
function valuesIn(
  node: unknown,
  path: Path = [],
): readonly { readonly offset: number; readonly path: Path }[] {
  if (isMap(node) && node.items.length > 0) {
    return node.items.flatMap(({ key, value }) =>
      isScalar(key) ? valuesIn(value, [...path, String(key.value)]) : [],
    );
  }
  if (isSeq(node) && node.items.length > 0) {
    return node.items.flatMap((item, index) => valuesIn(item, [...path, index]));
  }
  const range = isMap(node) || isSeq(node) || isScalar(node) ? node.range : null;
  return range ? [{ offset: range[0], path }] : [];
}

/** The same for programs; origins by JSON pointer into the spec. */
export function policyJson(policy: Policy, options: ShowOptions): Readonly<Record<string, unknown>> {
  const { id, spec, declaredAt } = policy;
  const origins = Object.fromEntries(
    leavesOf(spec).map((path) => [pointer(path), originText(policy, path, options)]),
  );
  return {
    name: id,
    ...(policy.extends === undefined ? {} : { extends: policy.extends }),
    declaredAt,
    spec,
    ...(options.effective ? { origins } : {}),
  };
}

/** In the order of the schema, which is that of docs/policy.md. */
function documentOf({ id, spec }: Policy) {
  const order = Object.keys(policySchema.$defs.spec.properties ?? {});
  const entries = Object.entries(spec).sort(([a], [b]) => order.indexOf(a) - order.indexOf(b));
  const apiVersion = 'terminals.openwebui.com/v1alpha1';
  return { apiVersion, kind: 'Policy', metadata: { name: id }, spec: Object.fromEntries(entries) };
}

function originText(policy: Policy, path: Path, { configured }: ShowOptions): string {
  // What is known from before a restart has its values, and not where each was written.
  if (policy.origins === undefined && !isBuiltin(policy)) {
    return `last good version of ${placeText(policy.declaredAt)}`;
  }
  const place = policy.origins?.of(path) ?? null;
  if (place === null || place.file === builtinFile) {
    const [field] = path;
    const variable = typeof field === 'string' && path.length === 1 ? configured[field] : undefined;
    return variable === undefined ? 'default' : `default (${variable})`;
  }
  const value = valueAt(policy.spec, path);
  const lowered = typeof value !== 'object' && policy.origins?.written(path) !== value;
  return `${placeText(place)}${lowered ? ', lowered to its bound' : ''}`;
}

function placeText({ file, line }: Place): string {
  return `${file}:${line}`;
}

function valueAt(spec: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (value, part) => (typeof value === 'object' && value !== null ? Reflect.get(value, part) : undefined),
    spec,
  );
}

function leavesOf(value: unknown, path: Path = []): readonly Path[] {
  if (typeof value !== 'object' || value === null) return [path];
  const entries: [string | number, unknown][] = Array.isArray(value)
    ? [...value.entries()]
    : Object.entries(value);
  if (entries.length === 0) return [path];
  return entries.flatMap(([name, part]) => leavesOf(part, [...path, name]));
}
