/** From nothing to a user's first answer, one at a time and fifty at once, beside `docker run` of the same container. @module */
import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { callerHeaders } from '../contenders/terminals.ts';
import type { Context, RowGroup } from '../context.ts';
import { docker, dockerRun, remove, userPrefix } from '../docker.ts';
import { freePorts } from '../processes.ts';

const rows = ['first', 'fifty'] as const;

export const firstRequests: RowGroup = {
  name: 'first-requests',
  rows,
  async run(context) {
    const { terminals } = await context.field();
    const fifty = context.pick(50, 4);
    const titles = { first: 'first request from nothing', fifty: `${fifty} users' first requests at once` };
    const counts = { first: 1, fifty };
    const rounds = { first: context.pick(7, 1), fifty: context.pick(2, 1) };
    for (const row of rows.filter((one) => context.wants('first-requests', one))) {
      const what = { id: `${row}.ms`, title: titles[row], unit: 'ms', better: 'less' } as const;
      for (let round = 0; round < rounds[row]; round += 1) {
        context.measurements.add(what, 'docker run', await bareStarts(context, counts[row]));
        context.measurements.add(what, 'terminals', await userStarts(terminals.url, counts[row]));
      }
    }
  },
};

/** @returns milliseconds until the last of so many `docker run` in parallel is healthy */
export async function bareStarts(context: Context, count: number): Promise<number> {
  const runs = [];
  for (const port of await freePorts(count)) {
    const name = `${userPrefix}run-${randomUUID().slice(0, 8)}`;
    const home = path.join(context.folder, 'homes', name);
    await mkdir(home, { recursive: true });
    runs.push({ name, home, port });
  }
  const began = performance.now();
  await Promise.all(runs.map((one) => dockerRun(one, count === 1 ? 5 : 25)));
  const ms = performance.now() - began;
  await remove(runs.map(({ name }) => name));
  return ms;
}

/** @returns milliseconds until the last of so many users has a 200 */
export async function userStarts(url: string, count: number): Promise<number> {
  const users = Array.from({ length: count }, () => `${userPrefix}${randomUUID().slice(0, 8)}`);
  const began = performance.now();
  const answers = await Promise.all(users.map((user) => get(`${url}/small`, callerHeaders(user))));
  const ms = performance.now() - began;
  const bad = answers.filter(({ status }) => status !== 200);
  await removeOf(users);
  if (bad.length > 0)
    throw new Error(`${bad.length} of ${count} were not served: ${bad[0]?.status} ${bad[0]?.body}`);
  return ms;
}

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** One request on a connection of its own. @param most of the body that is kept, in characters */
export function get(url: string, headers: Readonly<Record<string, string>>, most = 300): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const request = http.get(url, { headers, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: body.slice(0, most) }));
      response.on('error', reject);
    });
    request.on('error', reject);
  });
}

async function removeOf(users: readonly string[]): Promise<void> {
  const format = '{{.ID}} {{.Label "openwebui.com/user-id"}}';
  const lines = await docker('ps', '--all', '--filter', 'label=managed-by=terminals', '--format', format);
  const theirs = lines.split('\n').map((line) => line.split(' '));
  await remove(theirs.flatMap(([id, user]) => (id && user && users.includes(user) ? [id] : [])));
}
