/**
 * `node bench/profile.ts`: what costs what on the way of a GET of 1 KB at 64 connections, in µs a request, by V8's own
 * profiler; for Terminals and for bare reply-from.
 * @module
 */
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Field } from './contenders/field.ts';
import { type CpuProfile, costs, functions } from './cpu-profile.ts';
import { removeAll } from './docker.ts';
import { wrk } from './rows/http.ts';

const load = { connections: 64, path: '/small', body: null };
const ways = ['reply-from', 'terminals'] as const;

interface Window {
  readonly way: (typeof ways)[number];
  readonly fromUs: number;
  readonly toUs: number;
  readonly rate: number;
}

const folder = await mkdtemp(path.join(os.tmpdir(), 'terminals-profile-'));
try {
  const profiles = (way: string) => path.join(folder, way);
  const windows = await record(profiles);
  for (const window of windows) await print(profiles(window.way), window);
} finally {
  await removeAll();
  await rm(folder, { recursive: true, force: true });
}

async function record(profiles: (way: string) => string): Promise<readonly Window[]> {
  const profiler = (way: string) => [
    '--cpu-prof',
    '--cpu-prof-interval=250',
    `--cpu-prof-dir=${profiles(way)}`,
  ];
  for (const way of ways) await mkdir(profiles(way));
  const field = await Field.start(folder, {
    terminals: profiler('terminals'),
    replyFrom: profiler('reply-from'),
  });
  try {
    const windows: Window[] = [];
    for (const way of ways) {
      const entrance = field.entrances.find((one) => one.way === way);
      if (!entrance) continue;
      await wrk(load, entrance, 3);
      const fromUs = microseconds();
      const { rate } = await wrk(load, entrance, 5);
      windows.push({ way, fromUs, toUs: microseconds(), rate });
    }
    return windows;
  } finally {
    await field.stop();
  }
}

function microseconds(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

async function print(profiles: string, { way, fromUs, toUs, rate }: Window): Promise<void> {
  const [file = ''] = await readdir(profiles);
  const profile: CpuProfile = JSON.parse(await readFile(path.join(profiles, file), 'utf8'));
  const requests = (rate * (toUs - fromUs)) / 1e6;
  const lines = [
    `\n## ${way}: ${Math.round(rate)} requests/s while profiled\n`,
    '| part | µs a request |',
    '| --- | --- |',
  ];
  for (const [part, us] of costs(profile, fromUs, toUs, requests))
    lines.push(`| ${part} | ${us.toFixed(1)} |`);
  lines.push('', '| function | µs of its own |', '| --- | --- |');
  const most = [...functions(profile, fromUs, toUs, requests)].slice(0, 30);
  for (const [name, us] of most) lines.push(`| ${name} | ${us.toFixed(1)} |`);
  process.stdout.write(`${lines.join('\n')}\n`);
}
