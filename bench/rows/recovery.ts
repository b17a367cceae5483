/** A container killed, removed or paused behind Terminals: how long until its user is served, or told why not. @module */

import type { Entrance } from '../contenders/field.ts';
import type { Context, RowGroup } from '../context.ts';
import { docker } from '../docker.ts';
import { type Answer, bareStarts, get } from './first-requests.ts';

const rows = ['killed', 'removed', 'paused'] as const;
/** No request may wait longer. */
const limitMs = 30_000;

export const recovery: RowGroup = {
  name: 'recovery',
  rows,
  async run(context) {
    const field = await context.field();
    const { name } = field.container;
    const entrance = field.entrances.find(({ way }) => way === 'terminals');
    if (!entrance) return;
    await served(entrance);
    for (let round = 0; round < context.pick(5, 1); round += 1) {
      for (const [row, command] of [
        ['killed', ['kill']],
        ['removed', ['rm', '--force']],
      ] as const) {
        if (!context.wants('recovery', row)) continue;
        add(context, row, 'docker run', await bareStarts(context, 1));
        await docker(...command, name);
        add(context, row, 'terminals', await served(entrance));
      }
      if (context.wants('recovery', 'paused')) await paused(context, entrance, name);
    }
  },
};

function add(
  { measurements }: Context,
  row: string,
  contender: 'docker run' | 'terminals',
  ms: number,
): void {
  const title = `container ${row} → served again`;
  measurements.add({ id: `${row}.ms`, title, unit: 'ms', better: 'less' }, contender, ms);
}

/** Asks until there is a 200, as a user would. @returns milliseconds */
async function served({ url, headers }: Entrance): Promise<number> {
  const began = performance.now();
  for (;;) {
    const { status, body } = await get(`${url}/small`, headers).catch(() => ({ status: 0, body: '' }));
    const ms = performance.now() - began;
    if (status === 200) return ms;
    if (ms > limitMs) throw new Error(`still ${status} after ${Math.round(ms)} ms: ${body}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

async function paused({ measurements, notes }: Context, entrance: Entrance, name: string): Promise<void> {
  await docker('pause', name);
  try {
    const began = performance.now();
    const late = new Promise<Answer>((resolve) =>
      setTimeout(() => resolve({ status: 0, body: `nothing within ${limitMs / 1000} s` }), limitMs).unref(),
    );
    const { status, body } = await Promise.race([get(`${entrance.url}/small`, entrance.headers), late]);
    const ms = performance.now() - began;
    if (status !== 504) notes.set('paused', `answered by ${status}: ${body}`);
    const title = 'container paused → ';
    measurements.add(
      { id: 'paused.status', title: `${title}status`, unit: '', better: 'less' },
      'terminals',
      status,
    );
    measurements.add(
      { id: 'paused.ms', title: `${title}answered`, unit: 'ms', better: 'less' },
      'terminals',
      ms,
    );
  } finally {
    await docker('unpause', name);
  }
  await served(entrance);
}
