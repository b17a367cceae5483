/** `terminals retry`: begins a stalled rollout anew. @module */
import { type Command, UsageError } from './command.ts';
import { type StatusAnswer, summaryOfStatus } from './policy-table.ts';
import { neededServer, serverHelp, serverOptions } from './server.ts';

export const retry: Command = {
  name: 'retry',
  summary: "begin the rollout of a policy's newest revision anew",
  help: `Usage: terminals retry POLICY --server URL

Begins the rollout of a policy's newest revision anew on a running server, e.g. after the image that it names was
pushed.

Options:
${serverHelp}  -h, --help        this text

Exit codes: 0 done, 1 it failed or there is no such policy, 2 the call's words are off.
`,
  words: true,
  options: serverOptions,
  async run(values, positionals, io) {
    const [policy, ...more] = positionals;
    if (policy === undefined || more.length > 0)
      throw new UsageError('say which policy: terminals retry POLICY');
    const path = `/policies/${encodeURIComponent(policy)}/retry`;
    const status = (await neededServer(values, io).call('POST', path)) as StatusAnswer;
    io.out(`${policy}: ${summaryOfStatus(status)}\n`);
    return 0;
  },
};
