/** WebSocket echo: 32 B at several numbers of sockets, and 1 MiB messages. reply-from has no WebSocket. @module */
import { fileURLToPath } from 'node:url';
import type { Entrance } from '../contenders/field.ts';
import type { Context, RowGroup } from '../context.ts';
import { load } from '../processes.ts';
import type { WebSocketLoad, WebSocketResult } from '../websocket-load.ts';

const script = fileURLToPath(new URL('../websocket-load.ts', import.meta.url));
const small = 32;
const large = 1024 * 1024;

const rows = [
  { row: 'ws-1', title: 'WebSocket echo 32 B, 1 socket', sockets: 1, bytes: small },
  { row: 'ws-100', title: 'WebSocket echo 32 B, 100 sockets', sockets: 100, bytes: small },
  { row: 'ws-1000', title: 'WebSocket echo 32 B, 1,000 sockets', sockets: 1000, bytes: small },
  { row: 'ws-bulk', title: 'WebSocket echo 1 MiB, 1 socket', sockets: 1, bytes: large },
] as const;

export const websocket: RowGroup = {
  name: 'websocket',
  rows: rows.map(({ row }) => row),
  async run(context) {
    const entrances = (await context.field()).entrances.filter(({ way }) => way !== 'reply-from');
    const wanted = rows.filter(({ row }) => context.wants('websocket', row));
    for (const row of wanted.filter(({ sockets }) => !context.quick || sockets < 1000)) {
      for (let round = 0; round < context.pick(4, 1); round += 1) {
        for (const entrance of entrances) await measure(context, row, entrance);
      }
    }
  },
};

async function measure(
  context: Context,
  row: (typeof rows)[number],
  { way, ...entrance }: Entrance,
): Promise<void> {
  const { sockets, bytes, title } = row;
  const seconds = context.pick(1, 0.3);
  const result = await echoLoad({
    ...entrance,
    url: `${entrance.url}/api/terminals/bench`,
    sockets,
    bytes,
    seconds,
  });
  const { measurements } = context;
  if (bytes === large) {
    const rate = (result.rate * bytes) / 1e6;
    measurements.add({ id: `${row.row}.rate`, title, unit: 'MB/s', better: 'more' }, way, rate);
    return;
  }
  measurements.add({ id: `${row.row}.rate`, title, unit: 'messages/s', better: 'more' }, way, result.rate);
  measurements.add(
    { id: `${row.row}.p50`, title: `${title}, p50`, unit: 'ms', better: 'less' },
    way,
    result.p50,
  );
  measurements.add(
    { id: `${row.row}.p99`, title: `${title}, p99`, unit: 'ms', better: 'less' },
    way,
    result.p99,
  );
}

async function echoLoad(options: WebSocketLoad): Promise<WebSocketResult> {
  return JSON.parse(await load(process.execPath, [script, JSON.stringify(options)]));
}
