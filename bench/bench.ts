/**
 * `npm run bench`: starts what it compares, measures in turns, prints tables, writes them under bench/results.
 * @module
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Context, type RowGroup } from './context.ts';
import { docker, image, removeAll } from './docker.ts';
import { judge } from './goals.ts';
import { markdown } from './report.ts';
import { bulk } from './rows/bulk.ts';
import { firstRequests } from './rows/first-requests.ts';
import { http } from './rows/http.ts';
import { idleWebSockets } from './rows/idle-websockets.ts';
import { inMemory } from './rows/in-memory.ts';
import { kubernetesScale } from './rows/kubernetes-scale.ts';
import { kubernetesStart } from './rows/kubernetes-start.ts';
import { recovery } from './rows/recovery.ts';
import { restart } from './rows/restart.ts';
import { start } from './rows/start.ts';
import { tokens } from './rows/tokens.ts';
import { warm } from './rows/warm.ts';
import { websocket } from './rows/websocket.ts';
import { workers } from './rows/workers.ts';

/** `start`, `tokens` and `workers` come first, before anything of the field runs; `restart` last, since it leaves 200 containers behind. */
const groups: readonly RowGroup[] = [
  inMemory,
  start,
  tokens,
  workers,
  http,
  bulk,
  websocket,
  idleWebSockets,
  recovery,
  firstRequests,
  warm,
  restart,
  kubernetesStart,
  kubernetesScale,
];
const results = fileURLToPath(new URL('results', import.meta.url));
/** They need a cluster, and put thousands of objects on it: only where they are asked for. */
const onCluster = new Set([kubernetesStart.name, kubernetesScale.name]);
const withoutDocker = new Set([inMemory.name, ...onCluster]);

const help = `Usage: npm run bench -- [--quick] [--only GROUP-OR-ROW] [--namespace NAME]

${groups.map(({ name, rows }) => `  ${name.padEnd(16)} ${rows.join(' ')}`).join('\n')}
`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string' },
      namespace: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  const { quick, only = null, namespace = null } = values;
  const chosen = groups.filter(({ name, rows }) =>
    only === null ? !onCluster.has(name) : only === name || rows.includes(only),
  );
  if (values.help || chosen.length === 0) {
    process.stdout.write(help);
    return values.help ? 0 : 2;
  }
  const folder = await mkdtemp(path.join(os.tmpdir(), 'terminals-bench-'));
  const context = new Context({ quick, only, namespace, folder });
  const engine = chosen.some(({ name }) => !withoutDocker.has(name));
  try {
    if (engine) await docker('image', 'inspect', '--format', '{{.Id}}', image);
    for (const group of chosen) await runGroup(context, group);
  } finally {
    await context.close();
    if (engine) await removeAll();
    await rm(folder, { recursive: true, force: true });
  }
  await write(context, quick);
  return context.failures.size === 0 ? 0 : 1;
}

/** A group that fails leaves the others their turn. */
async function runGroup(context: Context, group: RowGroup): Promise<void> {
  const began = performance.now();
  process.stderr.write(`${group.name} … `);
  try {
    await group.run(context);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    context.failures.set(group.name, reason.trim());
    process.stderr.write(`${reason.trim()}\n`);
  }
  process.stderr.write(`${((performance.now() - began) / 1000).toFixed(1)} s\n`);
}

async function write(context: Context, quick: boolean): Promise<void> {
  const date = new Date().toISOString();
  const measurements = context.measurements.all();
  // A quick run takes fewer users, terminals and rounds than the goals speak of: it can't tell whether they are met.
  const verdicts = quick ? [] : judge(context.measurements);
  const circumstances = `${date.slice(0, 16)}, ${os.availableParallelism()} cores (${os.cpus()[0]?.model.trim()}), Node ${process.version}, ${quick ? 'quick run: it shows that the bench works, not how fast anything is' : 'full run'}.`;
  const text = markdown({
    circumstances,
    measurements,
    verdicts,
    failures: new Map([...context.notes, ...context.failures]),
  });
  process.stdout.write(text);
  await mkdir(results, { recursive: true });
  const file = path.join(results, date.slice(0, 19).replaceAll(':', '-'));
  const failures = Object.fromEntries([...context.notes, ...context.failures]);
  await writeFile(
    `${file}.json`,
    `${JSON.stringify({ date, circumstances, measurements, verdicts, failures }, null, 2)}\n`,
  );
  await writeFile(`${file}.md`, text);
}

process.exitCode = await main();
