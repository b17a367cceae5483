/** What was parsed from JSON or YAML, before anything is known of it. @module */

export type JsonMap = Record<string, unknown>;

/** Whether it is a map: no list, no null. */
export function isMap(value: unknown): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
