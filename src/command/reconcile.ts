/** `terminals reconcile`: has a running server look at once. @module */

import type { Problem } from '../policy/policy.ts';
import { problemText } from '../policy/store.ts';
import { type Command, UsageError } from './command.ts';
import { neededServer, serverHelp, serverOptions } from './server.ts';

interface Answer {
  readonly revision: string;
  readonly source: string | null;
  readonly problems: readonly Problem[];
  readonly terminals: number;
  readonly queued: number;
}

export const reconcile: Command = {
  name: 'reconcile',
  summary: 'have a running server read its policies and look at every terminal at once',
  help: `Usage: terminals reconcile --server URL

Has a running server read its policies anew and look at every terminal, without waiting for its next turn. It ends when
that is done; what has to be done with terminals goes on.

Options:
${serverHelp}  -h, --help        this text

Exit codes: 0 done, 1 it failed or a policy has errors, 2 the call's words are off.
`,
  options: serverOptions,
  async run(values, positionals, io) {
    if (positionals.length > 0) throw new UsageError('reconcile takes no names');
    const answer = (await neededServer(values, io).call('POST', '/reconcile')) as Answer;
    const { revision, source, problems, terminals, queued } = answer;
    for (const problem of problems) io.err(`${problemText(problem)}\n`);
    const from = source === null ? '' : ` (${source})`;
    io.out(`policies at revision ${revision}${from}; ${terminals} terminals, ${queued} with work to do\n`);
    return problems.some(({ severity }) => severity === 'error') ? 1 : 0;
  },
};
