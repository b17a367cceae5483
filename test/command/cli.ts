/** The real program, as a child process or in this one. */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { main } from '../../src/main.ts';

const launcher = fileURLToPath(new URL('../../src/terminals.js', import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

export interface Surroundings {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** Runs `terminals` with only the environment given, without a standard input, until it ends. */
export function terminals(
  args: readonly string[],
  { cwd = '/', env = {} }: Surroundings = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [launcher, ...args], {
    cwd,
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
  });
  const texts = { out: '', err: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    texts.out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    texts.err += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, ...texts }));
  });
}

/** The same without a process of its own, which takes a tenth of the time. */
export async function terminalsHere(
  args: readonly string[],
  { cwd = '/', env = {} }: Surroundings = {},
): Promise<Ended> {
  const texts = { out: '', err: '' };
  const code = await main(args, {
    out: (text) => {
      texts.out += text;
    },
    err: (text) => {
      texts.err += text;
    },
    env,
    cwd,
    colour: false,
    signal: new AbortController().signal,
  });
  return { code, ...texts };
}

/** A directory with these files, gone when the test file has ended. */
export function directoryOf(files: Readonly<Record<string, string | Buffer>>): string {
  const root = mkdtempSync(path.join(tmpdir(), 'terminals-command-'));
  after(() => rmSync(root, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    writeFileSync(path.join(root, name), text);
  }
  return root;
}
