/** What a terminal wrote, fit to be logged and shown. @module */

/** The line without anything that looks like a key. */
export function masked(line: string): string {
  return line.replace(/((?:api.?key|token)\W+)\S+/gi, '$1[secret]');
}
