/**
 * What several documents say of one policy, laid over each other: maps are merged, lists and single values replaced. Where
 * each value was written is kept.
 * @module
 */

import { isMap } from '../json.ts';
import type { ParsedDocument } from './document.ts';
import type { Place, PolicySpec } from './policy.ts';

type Path = readonly (string | number)[];
type Fields = Readonly<Record<string, unknown>>;

/** Nothing of a policy is nested deeper; what is more is taken as it is, for the schema to refuse. */
const deepest = 64;

/** One document's spec as it was written, without defaults. */
export class Layer {
  readonly spec: Fields;
  readonly declaredAt: Place;
  readonly #document: Pick<ParsedDocument, 'place'>;

  constructor(spec: Fields, document: Pick<ParsedDocument, 'place'>) {
    this.spec = spec;
    this.declaredAt = document.place([]);
    this.#document = document;
  }

  /** The layer of a document; null where its spec is no map. */
  static of(document: ParsedDocument): Layer | null {
    const spec = (isMap(document.content) ? document.content.spec : null) ?? {};
    return isMap(spec) ? new Layer(spec, document) : null;
  }

  /** Where a field of the spec stands, or the nearest parent of it that is there. */
  place(path: Path, atName?: boolean): Place {
    return this.#document.place(['spec', ...path], atName);
  }

  /** Whether the field is written here. */
  has(path: Path): boolean {
    let value: unknown = this.spec;
    for (const part of path) {
      if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return false;
      value = Reflect.get(value, part);
    }
    return true;
  }
}

/** Which layer each value of a merged spec comes from. */
export class Origins {
  readonly #owners: ReadonlyMap<string, Layer>;
  readonly #written: PolicySpec | null;

  /** @param written the spec with its defaults, before limits were lowered to their bounds */
  constructor(owners: ReadonlyMap<string, Layer>, written: PolicySpec | null) {
    this.#owners = owners;
    this.#written = written;
  }

  /** Where the value at this path of the spec was written; null: nowhere, it is a default. */
  of(path: Path): Place | null {
    const layer = this.nearest(path);
    return layer?.has(path) ? layer.place(path) : null;
  }

  /** The layer that wrote the field, or the nearest parent of it that was written; null: none did. */
  nearest(path: Path): Layer | null {
    for (let length = path.length; length > 0; length -= 1) {
      const owner = this.#owners.get(pointer(path.slice(0, length)));
      if (owner) return owner;
    }
    return null;
  }

  /** The value before it was lowered to a bound. */
  written(path: Path): unknown {
    return path.reduce<unknown>(
      (value, part) => (typeof value === 'object' && value !== null ? Reflect.get(value, part) : undefined),
      this.#written,
    );
  }
}

export interface Merged {
  readonly spec: Fields;
  /** By the JSON pointer of each map, list and single value. */
  readonly owners: ReadonlyMap<string, Layer>;
}

/** @param layers the one that wins first */
export function mergeLayers(layers: readonly Layer[]): Merged {
  const owners = new Map<string, Layer>();
  const spec = mergeMaps(
    layers.map((layer) => ({ layer, value: layer.spec })),
    [],
    owners,
  );
  return { spec, owners };
}

interface Part {
  readonly layer: Layer;
  readonly value: Fields;
}

function mergeMaps(parts: readonly Part[], path: Path, owners: Map<string, Layer>): Fields {
  const names = new Set(parts.flatMap(({ value }) => Object.keys(value)));
  const entries = [...names].map((name) => {
    const having = parts.flatMap(({ layer, value }) =>
      Object.hasOwn(value, name) ? [{ layer, value: value[name] }] : [],
    );
    const inner = [...path, name];
    const first = having[0];
    if (first) owners.set(pointer(inner), first.layer);
    const maps = leadingMaps(having);
    const merge = maps.length > 0 && inner.length < deepest;
    return [name, merge ? mergeMaps(maps, inner, owners) : first?.value] as const;
  });
  // Not by assignment, which a field named __proto__ would turn into something else.
  return Object.fromEntries(entries);
}

/** What is below a value that is no map is replaced by it. */
function leadingMaps(values: readonly { readonly layer: Layer; readonly value: unknown }[]): readonly Part[] {
  const maps: Part[] = [];
  for (const { layer, value } of values) {
    if (!isMap(value)) break;
    maps.push({ layer, value });
  }
  return maps;
}

/** A path as RFC 6901 writes it. */
export function pointer(path: Path): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
