/** `terminals list`: every terminal there is. @module */
import { authorityOf } from '../terminal/address.ts';
import { isNobody } from '../terminal/names.ts';
import type { Command } from './command.ts';
import { stateHelp, stateOptions } from './configuration.ts';
import { renderTable, titles } from './table.ts';
import { listTerminals, withBackend } from './terminals.ts';

export const list: Command = {
  name: 'list',
  summary: 'list the terminals',
  help: `Usage: terminals list [--json] [OPTIONS]

Lists every terminal with its user, policy, phase and revision, straight from the backend; no server need run.

Options:
  --json            as JSON, without keys
${stateHelp}
Exit codes: 0 done, 1 the backend does not answer, 2 the call's words are off.
`,
  options: { json: { type: 'boolean' }, ...stateOptions },
  run: (values, _positionals, io) =>
    withBackend(values, io, async (backend) => {
      const terminals = await listTerminals(backend, io.signal);
      const rows = terminals.map((terminal) => ({
        name: terminal.name,
        // Started, and nobody's yet.
        user: isNobody(terminal.key.user) ? null : terminal.key.user,
        policy: terminal.key.policy,
        context: terminal.key.context,
        phase: terminal.phase,
        revision: terminal.revision,
        address: terminal.phase === 'Running' ? authorityOf(terminal.address) : null,
        detail: terminal.phase === 'Error' || terminal.phase === 'Provisioning' ? terminal.detail : null,
      }));
      if (values.json) io.out(`${JSON.stringify(rows, null, 2)}\n`);
      else {
        const cells = rows.map(({ name, user, policy, context, phase, address, detail }) => [
          name,
          user ?? '(warm)',
          policy,
          context ?? '',
          phase,
          address ?? detail ?? '',
        ]);
        io.out(renderTable(titles('NAME', 'USER', 'POLICY', 'CONTEXT', 'PHASE', 'ADDRESS'), cells, io));
      }
      return 0;
    }),
};
