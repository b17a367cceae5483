/** A user's first answer where a terminal is warm, beside a cold start and `docker run`, in turns. @module */
import { randomUUID } from 'node:crypto';
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { terminalName } from '../../src/terminal/names.ts';
import type { PolicyId, UserId } from '../../src/terminal/terminal.ts';
import { callerHeaders } from '../contenders/terminals.ts';
import type { Context, RowGroup } from '../context.ts';
import { remove, userPrefix, warmPolicy } from '../docker.ts';
import { until } from '../processes.ts';
import { bareStarts, get, userStarts } from './first-requests.ts';

const row = 'warm';

const policy = `apiVersion: terminals.openwebui.com/v1alpha1
kind: Policy
metadata: {name: ${warmPolicy}}
spec:
  resources: {limits: {cpu: "2", memory: 1Gi}}
  persistence: {enabled: false}
  idleTimeoutMinutes: 0
  warm: 1
`;

export const warm: RowGroup = {
  name: 'warm',
  rows: [row],
  async run(context) {
    const { terminals } = await context.field();
    const what = {
      id: `${row}.ms`,
      title: 'first request, one is warm',
      unit: 'ms',
      better: 'less',
    } as const;
    // Only now, so that nothing is started for nobody in the middle of another group.
    const file = path.join(context.folder, 'policies', `${warmPolicy}.yaml`);
    await writeFile(file, policy);
    try {
      await until(() => ready(terminals.url), 60_000, 'one is warm', 50);
      for (let round = 0; round < rounds(context); round += 1) {
        context.measurements.add(what, 'docker run', await bareStarts(context, 1));
        context.measurements.add(what, 'cold start', await userStarts(terminals.url, 1));
        await until(() => ready(terminals.url), 60_000, 'one is warm again', 50);
        context.measurements.add(what, 'terminals', await warmStart(terminals.url));
      }
    } finally {
      await rm(file);
    }
  },
};

const rounds = (context: Context) => context.pick(11, 1);

/** Whether the policy has one that is nobody's; undefined: not yet. */
async function ready(url: string): Promise<true | undefined> {
  const { body } = await get(`${url}/api/v1/policies/${warmPolicy}`, callerHeaders(''), 1024 * 1024);
  const { status }: { status?: { warm: number } } = JSON.parse(body);
  return status?.warm === 1 ? true : undefined;
}

/** @returns milliseconds until the user has a 200 */
async function warmStart(url: string): Promise<number> {
  const user = `${userPrefix}${randomUUID().slice(0, 8)}`;
  const began = performance.now();
  const { status, body } = await get(`${url}/p/${warmPolicy}/small`, callerHeaders(user));
  const ms = performance.now() - began;
  const key = { policy: warmPolicy as PolicyId, user: user as UserId, context: null };
  await remove([terminalName(key)]);
  if (status !== 200) throw new Error(`not served: ${status} ${body}`);
  return ms;
}
