/** Terminals restarted under 200 running terminals: from its start until every one of them answers. @module */
import { randomUUID } from 'node:crypto';
import { callerHeaders, type TerminalsProgram } from '../contenders/terminals.ts';
import type { RowGroup } from '../context.ts';
import { userPrefix } from '../docker.ts';
import { get } from './first-requests.ts';

const row = 'restart';
const atOnce = 20;

export const restart: RowGroup = {
  name: 'restart',
  rows: [row],
  async run(context) {
    if (!context.wants('restart', row)) return;
    const field = await context.field();
    const users = Array.from(
      { length: context.pick(200, 8) },
      () => `${userPrefix}${randomUUID().slice(0, 8)}`,
    );
    for (let from = 0; from < users.length; from += atOnce) {
      await askAll(field.terminals, users.slice(from, from + atOnce));
    }
    for (let round = 0; round < context.pick(5, 1); round += 1) {
      const program = await field.restartTerminals();
      await askAll(program, users);
      const ms = performance.now() - program.startedAt;
      const title = `restart with ${users.length} running terminals → all answer`;
      context.measurements.add({ id: `${row}.ms`, title, unit: 'ms', better: 'less' }, 'terminals', ms);
      const listening = {
        id: `${row}.listening`,
        title: 'of which until it listens',
        unit: 'ms',
        better: 'less',
      } as const;
      context.measurements.add(listening, 'terminals', program.startMs);
    }
  },
};

async function askAll({ url }: TerminalsProgram, users: readonly string[]): Promise<void> {
  const answers = await Promise.all(users.map((user) => get(`${url}/small`, callerHeaders(user))));
  const bad = answers.find(({ status }) => status !== 200);
  if (bad) throw new Error(`not served: ${bad.status} ${bad.body}`);
}
