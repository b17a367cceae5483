/**
 * Part of `npm run generate`: the CRD and the TypeScript type of a Terminal's spec, from the policy's JSON Schema.
 * @module
 */
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { specType } from '../policy/generate.ts';
import { terminalCrd } from './crd.ts';
import { terminalSpecSchema } from './terminal-schema.ts';

const made =
  'Made from schemas/policy.schema.json by `npm run generate`; edit that or src/operator, not this.';

/** The text of schemas/terminal.crd.yaml. */
export function crdText(): string {
  return `# ${made}\n${stringify(terminalCrd(), { lineWidth: 110, aliasDuplicateObjects: false })}`;
}

/** The text of terminal-spec.ts. */
export function specText(): Promise<string> {
  return specType({ ...terminalSpecSchema() }, 'TerminalSpec', `// ${made}\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  await writeFile(fileURLToPath(new URL('../../schemas/terminal.crd.yaml', import.meta.url)), crdText());
  await writeFile(fileURLToPath(new URL('./terminal-spec.ts', import.meta.url)), await specText());
}
