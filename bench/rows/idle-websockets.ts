/** Memory of a WebSocket that is open and silent: the Terminals process with 1,000 of them and without. @module */
import type net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Entrance, Field } from '../contenders/field.ts';
import { discovered } from '../contenders/terminals.ts';
import type { Context, RowGroup } from '../context.ts';
import { memory, until } from '../processes.ts';
import { openSocket } from '../websocket-client.ts';

const row = 'ws-idle';
const atOnce = 50;

export const idleWebSockets: RowGroup = {
  name: 'idle-websockets',
  rows: [row],
  async run(context) {
    if (!context.wants('idle-websockets', row)) return;
    const field = await context.field();
    const entrance = field.entrances.find(({ way }) => way === 'terminals');
    if (!entrance) return;
    for (let round = 0; round < context.pick(3, 1); round += 1) {
      // A fresh process each time: a heap that was larger once would be reused, and hide what sockets need.
      await discovered(await field.restartTerminals());
      await measure(context, field, entrance);
    }
  },
};

async function measure(context: Context, field: Field, entrance: Entrance): Promise<void> {
  const { pid } = field.terminals;
  const count = context.pick(1000, 200);
  // Code and heap that are made once are not what one more socket costs; these stay open, so as to leave nothing to reuse.
  const first = await open(entrance, context.pick(200, 50));
  const before = await settled(pid);
  const more = await open(entrance, count);
  const each = ((await settled(pid)) - before) / count / 1024;
  for (const socket of [...first, ...more]) socket.destroy();
  const what = {
    id: `${row}.memory`,
    title: 'memory of an idle WebSocket',
    unit: 'KiB',
    better: 'less',
  } as const;
  context.measurements.add(what, 'terminals', each);
}

async function open(entrance: Entrance, count: number): Promise<readonly net.Socket[]> {
  const sockets: net.Socket[] = [];
  const options = { ...entrance, url: `${entrance.url}/api/terminals/bench` };
  while (sockets.length < count) {
    const some = Math.min(atOnce, count - sockets.length);
    sockets.push(...(await Promise.all(Array.from({ length: some }, () => openSocket(options)))));
  }
  return sockets;
}

/** Resident memory once it stays within 64 KiB for a second; at most 10 s. */
async function settled(pid: number): Promise<number> {
  let last = memory(pid).now;
  const quiet = async () => {
    await sleep(1000);
    const now = memory(pid).now;
    const same = Math.abs(now - last) < 64 * 1024;
    last = now;
    return same ? now : undefined;
  };
  return until(quiet, 10_000, 'memory settles').catch(() => last);
}
