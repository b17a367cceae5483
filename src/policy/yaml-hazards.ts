/**
 * What the YAML parser lets through, or looks for too slowly, and a policy must not have.
 * @module
 */
import { isScalar, type ParsedNode, visit, type Document as YamlDocument } from 'yaml';

/**
 * Offsets of keys that their map has already. The parser's own check compares every key with every other one, which takes a
 * minute for a large map.
 */
export function repeatedKeys(document: YamlDocument.Parsed<ParsedNode>): readonly number[] {
  const offsets: number[] = [];
  visit(document, {
    Map(_, { items }) {
      const seen = new Set<unknown>();
      for (const { key } of items) {
        if (!isScalar(key)) continue;
        if (seen.has(key.value) && key.range) offsets.push(key.range[0]);
        seen.add(key.value);
      }
    },
  });
  return offsets;
}

/** Whether a value holds itself somewhere, as an alias inside of its own anchor makes it. */
export function holdsItself(value: unknown, above = new Set<unknown>(), seen = new Set<unknown>()): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (above.has(value)) return true;
  if (seen.has(value)) return false;
  seen.add(value);
  above.add(value);
  const found = Object.values(value).some((part) => holdsItself(part, above, seen));
  above.delete(value);
  return found;
}
