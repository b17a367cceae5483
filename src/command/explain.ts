/** `terminals explain`: which policy somebody gets, and why. @module */
import type { Group } from '../identity/identity.ts';
import { explainSelection } from '../policy/selection.ts';
import type { Command } from './command.ts';
import { readStateConfig, stateHelp, stateOptions } from './configuration.ts';
import { readPolicySet } from './policy-set.ts';

export const explain: Command = {
  name: 'explain',
  summary: 'say which policy somebody gets, step by step',
  help: `Usage: terminals explain [--groups A,B] [--policy NAME] [--json] [OPTIONS]

Says which policy a caller in these groups gets, and how that is decided.

Options:
  --groups A,B      names or ids of the caller's groups; "" for none; left out: they are unknown
  --policy NAME     the policy that the path names, as in /p/NAME/
  --json            as JSON
${stateHelp}
Exit codes: 0 a policy is selected, 1 none is, 2 the call's words are off.
`,
  options: {
    groups: { type: 'string' },
    policy: { type: 'string' },
    json: { type: 'boolean' },
    ...stateOptions,
  },
  async run(values, _positionals, io) {
    const config = readStateConfig(values, io);
    const { set } = await readPolicySet(config, io);
    const asked = {
      named: typeof values.policy === 'string' ? values.policy : null,
      groups: typeof values.groups === 'string' ? groupsOf(values.groups) : null,
    };
    const selection = explainSelection(set, asked, config.unknownGroups);
    const selected = selection.kind === 'selected' ? selection.policy.id : null;
    if (values.json)
      io.out(
        `${JSON.stringify({ kind: selection.kind, policy: selected, steps: selection.steps }, null, 2)}\n`,
      );
    else io.out(`${selection.steps.join('\n')}\n`);
    return selected === null ? 1 : 0;
  },
};

function groupsOf(text: string): readonly Group[] {
  const names = text.split(',').map((name) => name.trim());
  return names.filter((name) => name !== '').map((name) => ({ id: null, name }));
}
