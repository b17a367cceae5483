/** `terminals stop`: stops terminals; the next request starts them again. @module */
import type { Command } from './command.ts';
import { stateHelp, stateOptions } from './configuration.ts';
import { listTerminals, selectionHelp, selectionOptions, selectTerminals, withBackend } from './terminals.ts';

export const stop: Command = {
  name: 'stop',
  summary: 'stop terminals; their homes stay',
  help: `Usage: terminals stop [NAME…] [OPTIONS]

Stops terminals, whoever uses them. Their homes stay, and the next request starts them again.

Options:
${selectionHelp}${stateHelp}
Exit codes: 0 done, 1 the backend does not answer, 2 the call's words are off.
`,
  words: true,
  options: { ...selectionOptions, ...stateOptions },
  run: (values, positionals, io) =>
    withBackend(values, io, async (backend) => {
      const chosen = selectTerminals(await listTerminals(backend, io.signal), values, positionals);
      for (const { key, name } of chosen.filter(({ phase }) => phase !== 'Idle')) {
        await backend.stop(key, io.signal);
        io.out(`stopped ${name}\n`);
      }
      return 0;
    }),
};
