/** What the tests of the configuration share: a directory of their own, and loading from an environment given. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import {
  type Config,
  type ConfigOptions,
  type ConfigProblem,
  formatProblem,
  loadConfig,
} from '../../src/config.ts';

export const root = mkdtempSync(path.join(tmpdir(), 'terminals-config-'));
after(() => rmSync(root, { recursive: true, force: true }));

export type Env = Record<string, string>;

export const key = 'correct-horse-battery';
const usual: ConfigOptions = { dev: false, cwd: root };

export function load(
  env: Env,
  options: Partial<ConfigOptions> = {},
): { config: Config; warnings: readonly string[] } {
  const loaded = loadConfig(env, { ...usual, ...options });
  if (!loaded.ok) assert.fail(loaded.problems.map(formatProblem).join('\n'));
  return loaded;
}

/** With a key, so that only what a test is about can be wrong. */
export function keyed(env: Env, options: Partial<ConfigOptions> = {}) {
  return load({ TERMINALS_API_KEY: key, ...env }, options);
}

export function problemsOf(env: Env, options: Partial<ConfigOptions> = {}): readonly ConfigProblem[] {
  const loaded = loadConfig(env, { ...usual, ...options });
  return loaded.ok ? assert.fail('it was taken as good') : loaded.problems;
}

export function write(name: string, text: string): string {
  const file = path.join(root, name);
  writeFileSync(file, text);
  return file;
}

export const authOf = ({ auth }: Config) =>
  auth.mode === 'key' ? auth.keys.map((one) => one.reveal()).join() : auth.mode;
export const mount = { source: '/srv/data', target: '/mnt/data' };
