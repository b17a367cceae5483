/** What the tests of the schema share: documents checked, and what is wrong with them. */
import assert from 'node:assert/strict';
import { checkStructure } from '../../src/policy/schema.ts';

export const header = {
  apiVersion: 'terminals.openwebui.com/v1alpha1',
  kind: 'Policy',
  metadata: { name: 'a' },
};

/** The spec with its defaults; fails where something is wrong with it. */
export function specOf(spec: unknown, defaults = {}) {
  const checked = checkStructure({ ...header, spec }, defaults);
  return checked.ok ? checked.document.spec : assert.fail(JSON.stringify(checked.errors));
}

/** What is wrong with a document; fails where nothing is. */
export function errorsOf(document: unknown) {
  const checked = checkStructure(document, {});
  return checked.ok ? assert.fail('it was taken as good') : checked.errors;
}

/** The words of what is wrong in a spec: path, message and hint of each. */
export function wrongIn(spec: unknown): readonly string[] {
  return errorsOf({ ...header, spec }).map(
    ({ path, message, hint }) => `${path.join('.')}: ${message} (${hint})`,
  );
}

/** A text of that many letters. */
export const long = (count: number) => 'a'.repeat(count);

/** A value as the name of its test. */
export function shown(value: unknown): string {
  const text = JSON.stringify(value);
  return text.length > 60 ? `${text.slice(0, 20)}… of ${text.length - 2}` : text;
}
