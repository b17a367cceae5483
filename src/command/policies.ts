/** `terminals policies`: the policies as they would be in force. @module */
import type { Command } from './command.ts';
import { readStateConfig, stateHelp, stateOptions } from './configuration.ts';
import { readPolicySet } from './policy-set.ts';
import { renderTable, titles } from './table.ts';

export const policies: Command = {
  name: 'policies',
  summary: 'list the policies',
  help: `Usage: terminals policies [--json] [OPTIONS]

Lists the policies with what they set, defaults filled in, and where each is declared.

Options:
  --json            as JSON, with every field
${stateHelp}
Exit codes: 0 done, 1 a policy has errors, 2 the call's words are off.
`,
  options: { json: { type: 'boolean' }, ...stateOptions },
  async run(values, _positionals, io) {
    const config = readStateConfig(values, io);
    const { set, faulty } = await readPolicySet(config, io);
    const all = [...set.policies.values()];
    if (values.json)
      io.out(
        `${JSON.stringify({ revision: set.revision, policies: all, problems: set.problems }, null, 2)}\n`,
      );
    else {
      const rows = all.map(({ id, spec, declaredAt }) => [
        id,
        spec.image,
        String(spec.resources.limits.cpu),
        String(spec.resources.limits.memory),
        spec.idleTimeoutMinutes === 0 ? 'never' : `${spec.idleTimeoutMinutes} min`,
        spec.rollout.when,
        declaredAt.file === '(built-in)' ? declaredAt.file : `${declaredAt.file}:${declaredAt.line}`,
      ]);
      io.out(renderTable(titles('NAME', 'IMAGE', 'CPU', 'MEMORY', 'IDLE', 'ROLLOUT', 'DECLARED'), rows, io));
    }
    return faulty ? 1 : 0;
  },
};
