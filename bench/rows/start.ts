/** From `node` to listening, with no terminals there, beside bare Fastify with reply-from. @module */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { startReplyFrom } from '../contenders/reply-from.ts';
import { startTerminals } from '../contenders/terminals.ts';
import type { RowGroup } from '../context.ts';
import { freePort, memory } from '../processes.ts';

const row = 'start';

/** Comes before the groups that have the contenders running. */
export const start: RowGroup = {
  name: 'start',
  rows: [row],
  async run(context) {
    if (!context.wants('start', row)) return;
    const folder = path.join(context.folder, 'start');
    await mkdir(folder, { recursive: true });
    const what = { id: `${row}.ms`, title: 'start → listening', unit: 'ms', better: 'less' } as const;
    const rss = {
      id: `${row}.memory`,
      title: 'memory after the start',
      unit: 'MiB',
      better: 'less',
    } as const;
    // The first one fills the compile cache.
    for (let round = 0; round <= context.pick(5, 1); round += 1) {
      const began = performance.now();
      const peer = await startReplyFrom(await freePort(), '127.0.0.1:9');
      const peerMs = performance.now() - began;
      await peer.stop();
      const program = await startTerminals({ folder, port: await freePort() });
      const { now } = memory(program.pid);
      await program.stop();
      if (round === 0) continue;
      context.measurements.add(what, 'reply-from', peerMs);
      context.measurements.add(what, 'terminals', program.startMs);
      context.measurements.add(rss, 'terminals', now / 1024 / 1024);
    }
  },
};
