/** What grows with the number of terminals, without an engine: passes, policy edits, lists, expiry, memory. @module */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { nodeOptions } from '../contenders/terminals.ts';
import type { Context, RowGroup } from '../context.ts';
import type { InMemoryLoad, InMemoryResult } from '../in-memory.ts';
import { load } from '../processes.ts';

const script = fileURLToPath(new URL('../in-memory.ts', import.meta.url));
const rows = ['in-memory'] as const;

export const inMemory: RowGroup = {
  name: 'in-memory',
  rows,
  async run(context) {
    const options: InMemoryLoad = {
      terminals: 10_000,
      rounds: context.pick(5, 1),
      folder: path.join(context.folder, 'in-memory'),
    };
    // As `terminals.js` has it; without it, Node keeps a compiler of TypeScript in memory. The first run fills it.
    const cache = `NODE_COMPILE_CACHE=${path.join(context.folder, 'compiled')}`;
    const run = (about: InMemoryLoad) =>
      load(
        'env',
        [cache, `NODE_OPTIONS=${nodeOptions}`, process.execPath, script, JSON.stringify(about)],
        120_000,
      );
    if (!context.quick) await run({ ...options, terminals: 1, rounds: 1 });
    record(context, JSON.parse(await run(options)));
  },
};

function record(context: Context, result: InMemoryResult): void {
  const add = (id: string, title: string, unit: string, values: readonly number[]) => {
    for (const value of values)
      context.measurements.add({ id, title, unit, better: 'less' }, 'terminals', value);
  };
  add('pass.cpu', 'reconcile pass, 10,000 terminals, nothing to do', 'ms CPU', result.pass);
  add('edit.cpu', 'policy edit, 10,000 terminals, plan computed', 'ms CPU', result.edit);
  add('edit.block', 'policy edit, longest block of the event loop', 'ms', result.editBlocks);
  if (result.list === null) context.notes.set('list', 'GET /api/v1/terminals is not there yet');
  else {
    add('list.ms', 'list of 10,000 terminals, one page', 'ms', result.list);
    add('list.calls', 'calls to the engine while listing', '', [result.listEngineCalls]);
  }
  add('known.memory', 'memory with 10,000 known terminals', 'MiB', result.memory);
  result.expiry.forEach((values, index) => {
    const among = 1000 * 10 ** index;
    add(`expiry-${among}.us`, `expiry of 1 of ${among.toLocaleString('en')}`, 'µs', values);
  });
}
