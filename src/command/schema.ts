/** `terminals schema`: the JSON Schema of a policy, for editors. @module */
import { policySchema } from '../policy/policy-schema.ts';
import type { Command } from './command.ts';

export const schema: Command = {
  name: 'schema',
  summary: 'print the JSON Schema of a policy',
  help: `Usage: terminals schema

Prints the JSON Schema (draft 2020-12) of a policy document, for editors and other tools.

Exit codes: 0 done, 2 the call's words are off.
`,
  options: {},
  async run(_values, _positionals, io) {
    io.out(`${JSON.stringify(policySchema, null, 2)}\n`);
    return 0;
  },
};
