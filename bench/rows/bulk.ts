/** 64 MiB in one request: down, up, and echoed while it is still going up; and what that does to memory. @module */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Entrance, type Field, nodeProcesses } from '../contenders/field.ts';
import type { Context, RowGroup } from '../context.ts';
import { load, memory, resetPeak } from '../processes.ts';

const megabytes = 64;
const bytes = megabytes * 1024 * 1024;
/** Any of them takes far less than a second where the machine is not busy. */
const timeLimitSeconds = 20;

interface BulkRow {
  readonly row: string;
  readonly title: string;
  readonly path: string;
  readonly upload: boolean;
  /** Bytes of a whole answer; null: not looked at. */
  readonly answer: number | null;
}

const rows: readonly BulkRow[] = [
  { row: 'down', title: '64 MiB down', path: `/big?mb=${megabytes}`, upload: false, answer: bytes },
  { row: 'up', title: '64 MiB up', path: '/sink', upload: true, answer: null },
  { row: 'echo', title: '64 MiB echoed while uploading', path: '/echo', upload: true, answer: bytes },
];

export const bulk: RowGroup = {
  name: 'bulk',
  rows: rows.map(({ row }) => row),
  async run(context) {
    const field = await context.field();
    const file = path.join(context.folder, 'upload');
    await writeFile(file, randomBytes(bytes));
    const wanted = rows.filter((one) => context.wants('bulk', one.row));
    for (let process = 0; process < context.pick(nodeProcesses, 1); process += 1) {
      if (process > 0) await field.renewNode();
      for (const row of wanted) {
        // Once through each, unmeasured.
        let able = await tried(context, row, field.entrances, (entrance) => transfer(row, entrance, file));
        for (let round = 0; round < context.pick(5, 1); round += 1) {
          able = await tried(context, row, able, (entrance) => measure(context, row, field, entrance, file));
        }
      }
    }
  },
};

/** @returns those that can do it at all: nginx, for one, mostly gets stuck echoing an upload that is still coming in */
async function tried(
  context: Context,
  row: BulkRow,
  entrances: readonly Entrance[],
  work: (entrance: Entrance) => Promise<unknown>,
): Promise<readonly Entrance[]> {
  const able: Entrance[] = [];
  for (const entrance of entrances) {
    try {
      await work(entrance);
      able.push(entrance);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      // What a peer can't do is worth knowing; what Terminals can't do is a failure.
      const found = entrance.way === 'terminals' ? context.failures : context.notes;
      found.set(`${row.row} by ${entrance.way}`, reason);
    }
  }
  return able;
}

async function measure(
  { measurements }: Context,
  row: BulkRow,
  field: Field,
  entrance: Entrance,
  file: string,
): Promise<void> {
  const { pid } = field.terminals;
  const before = memory(pid).now;
  resetPeak(pid);
  const seconds = await transfer(row, entrance, file);
  const rate = bytes / 1e6 / seconds;
  measurements.add(
    { id: `${row.row}.rate`, title: row.title, unit: 'MB/s', better: 'more' },
    entrance.way,
    rate,
  );
  if (entrance.way !== 'terminals') return;
  const grown = (memory(pid).peak - before) / 1024 / 1024;
  const title = `${row.title}, memory on top at its peak`;
  measurements.add({ id: `${row.row}.memory`, title, unit: 'MiB', better: 'less' }, 'terminals', grown);
}

/** @returns seconds */
async function transfer(row: BulkRow, { way, url, headers }: Entrance, file: string): Promise<number> {
  const sent = Object.entries(headers).flatMap(([name, value]) => ['-H', `${name}: ${value}`]);
  const upload = row.upload
    ? ['-X', 'POST', '-H', 'Expect:', '-H', 'Content-Type: application/octet-stream', '-T', file]
    : [];
  const format = '%{http_code} %{size_download} %{time_total}';
  const base = ['-s', '-o', '/dev/null', '-m', String(timeLimitSeconds), '-w', format];
  const out = await load('curl', [...base, ...sent, ...upload, `${url}${row.path}`]).catch(
    (error: unknown) => {
      throw new Error(`${way}: not done within ${timeLimitSeconds} s`, { cause: error });
    },
  );
  const [status, size, seconds] = out.split(' ').map(Number);
  if (status !== 200 || seconds === undefined) throw new Error(`${way}: status ${status}`);
  if (row.answer !== null && size !== row.answer)
    throw new Error(`${way}: ${size} of ${row.answer} bytes came back`);
  return seconds;
}
