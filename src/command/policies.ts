/** `terminals policies`: the policies as they would be in force. @module */
import { closest } from '../closest.ts';
import type { Config } from '../config.ts';
import type { PolicySet } from '../policy/policy.ts';
import { type Command, type Io, type OptionValues, UsageError } from './command.ts';
import { readStateConfig, stateHelp, stateOptions } from './configuration.ts';
import { readPolicySet } from './policy-set.ts';
import { policyJson, policyYaml } from './policy-show.ts';
import { showStatuses, watchStatuses } from './policy-table.ts';
import { type Server, serverHelp, serverOf, serverOptions } from './server.ts';
import { renderTable, titles } from './table.ts';

export const policies: Command = {
  name: 'policies',
  summary: 'list the policies',
  help: `Usage: terminals policies [--json] [OPTIONS]
       terminals policies show NAME [--effective] [--json] [OPTIONS]
       terminals policies --server URL [--watch] [--json]

Lists the policies with what they set, defaults filled in, and where each is declared; or shows one as it is in force,
with everything that it inherits. With --server, says how far each policy is on a running server.

Options:
  --effective       show: say of each value where it was written, or that it is a default
  --json            as JSON, with every field
${serverHelp}  -w, --watch       with --server: goes on until it is ended, on a terminal in place
${stateHelp}
Exit codes: 0 done, 1 it failed or a policy has errors, 2 the call's words are off.
`,
  words: true,
  options: {
    json: { type: 'boolean' },
    effective: { type: 'boolean' },
    watch: { type: 'boolean', short: 'w' },
    ...serverOptions,
    ...stateOptions,
  },
  async run(values, positionals, io) {
    const shown = nameToShow(values, positionals);
    const server = serverOf(values, io);
    if (server !== null) return showServer(server, shown, values, io);
    if (values.watch) throw new UsageError('--watch is for a running server: --server URL');
    const config = readStateConfig(values, io);
    const { set, faulty } = await readPolicySet(config, io);
    if (shown !== null) return show(shown, set, config, values, io) && !faulty ? 0 : 1;
    const all = [...set.policies.values()].map(({ origins: _, ...policy }) => policy);
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

async function showServer(
  server: Server,
  shown: string | null,
  values: OptionValues,
  io: Io,
): Promise<number> {
  if (shown !== null) throw new UsageError('show is not for a running server; leave --server out');
  if (values.watch && values.json) throw new UsageError('--watch and --json exclude each other');
  if (values.watch) await watchStatuses(server, io);
  else await showStatuses(server, values.json === true, io);
  return 0;
}

/** Null: all are listed. @throws UsageError */
function nameToShow(values: OptionValues, [word, name, ...more]: readonly string[]): string | null {
  if (word === undefined && values.effective !== true) return null;
  if (word === 'show' && name !== undefined && more.length === 0) return name;
  throw new UsageError('to show one policy, write: terminals policies show NAME [--effective]');
}

/** @returns whether there is a policy of that name */
function show(
  name: string,
  { policies: all }: PolicySet,
  config: Config,
  values: OptionValues,
  io: Io,
): boolean {
  const policy = [...all.values()].find(({ id }) => id === name);
  if (policy === undefined) {
    const near = closest(name, [...all.keys()]);
    const hint = near === null ? '' : `; did you mean "${near}"?`;
    io.err(`terminals: no policy "${name}" is in force${hint}\n`);
    return false;
  }
  const options = {
    effective: values.effective === true,
    configured: {
      ...(config.imageIsSet ? { image: 'TERMINALS_IMAGE' } : {}),
      ...(config.idleTimeoutIsSet ? { idleTimeoutMinutes: 'TERMINALS_IDLE_TIMEOUT_MINUTES' } : {}),
    },
  };
  io.out(
    values.json ? `${JSON.stringify(policyJson(policy, options), null, 2)}\n` : policyYaml(policy, options),
  );
  return true;
}
