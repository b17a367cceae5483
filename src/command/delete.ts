/** `terminals delete`: removes terminals with their homes. @module */
import { type Command, UsageError } from './command.ts';
import { stateHelp, stateOptions } from './configuration.ts';
import { listTerminals, selectionHelp, selectionOptions, selectTerminals, withBackend } from './terminals.ts';

export const remove: Command = {
  name: 'delete',
  summary: 'delete terminals, with their homes',
  help: `Usage: terminals delete [NAME…] --yes [OPTIONS]

Removes terminals and every file in their homes, for good. With --keep-files the homes stay.

Options:
  --yes             really; without it nothing is deleted, and what would be is said
  --keep-files      leave the homes where they are
${selectionHelp}${stateHelp}
Exit codes: 0 done, 1 the backend does not answer, 2 the call's words are off (or --yes is missing).
`,
  words: true,
  options: {
    yes: { type: 'boolean' },
    'keep-files': { type: 'boolean' },
    ...selectionOptions,
    ...stateOptions,
  },
  run: (values, positionals, io) =>
    withBackend(values, io, async (backend) => {
      const chosen = selectTerminals(await listTerminals(backend, io.signal), values, positionals);
      const files = values['keep-files'] !== true;
      const what = files ? 'with all its files' : 'keeping its files';
      if (values.yes !== true) {
        for (const { name } of chosen) io.out(`would delete ${name}, ${what}\n`);
        throw new UsageError('nothing was deleted: add --yes to delete');
      }
      for (const { key, name } of chosen) {
        await backend.remove(key, { files }, io.signal);
        io.out(`deleted ${name}, ${what}\n`);
      }
      return 0;
    }),
};
