/** The steps of action.yml, run as a runner of GitHub runs them. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { directoryOf, type Ended } from '../command/cli.ts';

export const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Step {
  readonly name?: string;
  readonly id?: string;
  readonly if?: string;
  readonly run?: string;
  readonly env?: Readonly<Record<string, string>>;
}

interface Input {
  readonly default: string;
  readonly description: string;
}

export const action: {
  readonly inputs: Readonly<Record<string, Input>>;
  readonly runs: { readonly steps: readonly Step[] };
} = parse(readFileSync(path.join(root, 'action.yml'), 'utf8'));

/** The token that the job has. */
export const jobToken = 'the-token-of-the-job';

/** Runs one step with these inputs, in a folder with these files; `env` is what the runner itself sets. */
export async function runStep(
  name: string,
  inputs: Readonly<Record<string, string>>,
  files: Readonly<Record<string, string>>,
  env: Readonly<Record<string, string>> = {},
): Promise<Ended> {
  const step = action.runs.steps.find((each) => each.name === name) ?? assert.fail(`no step ${name}`);
  const runner = directoryOf({});
  mkdirSync(path.join(runner, 'temp'));
  symlinkSync(root, path.join(runner, 'temp', 'terminals'));
  const value = (text: string) =>
    text
      .replace(/\$\{\{ inputs\.([\w-]+) \}\}/g, (_, input: string) => inputs[input] ?? defaultOf(input))
      .replace(/\$\{\{ github\.token \}\}/, jobToken);
  const own = Object.fromEntries(Object.entries(step.env ?? {}).map(([key, text]) => [key, value(text)]));
  const PATH = `${path.dirname(process.execPath)}:${process.env.PATH}`;
  const child = spawn('bash', ['--noprofile', '--norc', '-eo', 'pipefail', '-c', step.run ?? ''], {
    cwd: directoryOf(files),
    env: { PATH, RUNNER_TEMP: path.join(runner, 'temp'), ...env, ...own },
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

function defaultOf(input: string): string {
  return action.inputs[input]?.default ?? '';
}
