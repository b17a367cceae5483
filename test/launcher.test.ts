import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const launcher = fileURLToPath(new URL('../src/terminals.js', import.meta.url));
const required = 24;
const folder = mkdtempSync(path.join(tmpdir(), 'terminals-launcher-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

async function ended(child: ChildProcess): Promise<Ended> {
  const texts = { out: '', err: '' };
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    texts.out += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    texts.err += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, ...texts }));
  });
}

function launch(
  args: readonly string[],
  node = process.execPath,
  nodeArgs: readonly string[] = [],
): ChildProcess {
  return spawn(node, [...nodeArgs, launcher, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
  });
}

/** The machine's own Node, not the one of the development dependencies. */
function systemNode(): string | null {
  const folders = (process.env.PATH ?? '')
    .split(path.delimiter)
    .filter((one) => !one.includes('node_modules'));
  return folders.map((one) => path.join(one, 'node')).find(isExecutable) ?? null;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

async function versionOf(node: string | null): Promise<string | null> {
  if (node === null) return null;
  const child = spawn(node, ['--version'], { stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000 });
  return (await ended(child)).out.trim();
}

const node = systemNode();
const version = await versionOf(node);
const isOld = version !== null && Number(version.slice(1).split('.')[0]) < required;
const why =
  version === null
    ? 'no Node.js of the machine itself'
    : `the machine has Node.js ${version}, which is new enough`;

test('a Node.js that is too old gets one sentence and exit code 1', { skip: !isOld && why }, async () => {
  const { code, out, err } = await ended(launch(['--version'], node ?? ''));
  assert.deepEqual([code, out], [1, '']);
  assert.ok(err.startsWith(`Terminals needs Node.js ${required} or later, and this is ${version}.`), err);
  assert.match(err, /npm start/);
  assert.equal(err.trim().split('\n').length, 1);
});

/** Runs the launcher as if this Node.js were another version. */
async function launchAs(pretended: string): Promise<Ended> {
  const preload = path.join(folder, `as-${pretended}.cjs`);
  const versions = JSON.stringify({ node: pretended });
  writeFileSync(
    preload,
    `Object.defineProperty(process, 'versions', { value: ${versions} });
     Object.defineProperty(process, 'version', { value: 'v${pretended}' });`,
  );
  return ended(launch(['--version'], process.execPath, ['-r', preload]));
}

for (const pretended of ['12.22.12', '20.20.2', '23.11.0', '4.9.1']) {
  test(`Node.js ${pretended} is refused`, async () => {
    const { code, out, err } = await launchAs(pretended);
    assert.deepEqual([code, out], [1, '']);
    assert.ok(err.includes(`this is v${pretended}`), err);
  });
}

test('the oldest Node.js that will do is not refused', async () => {
  assert.deepEqual(await launchAs('24.0.0').then(({ code, err }) => [code, err]), [0, '']);
});

test('the launcher has no syntax that came after Node.js 12', () => {
  const source = readFileSync(launcher, 'utf8').replace(/^\s*\/\/.*$/gm, '');
  // No static import (its module would be loaded before the check), nor what Node 12 can't parse.
  assert.doesNotMatch(source, /^\s*(?:import|export)\s[^(]/m);
  assert.doesNotMatch(source, /\?\.|\?\?|^await\s|#\w+\s*[=(;]/m);
});

test('--version prints the version', async () => {
  const { code, out, err } = await ended(launch(['--version']));
  assert.deepEqual([code, err], [0, '']);
  assert.match(out, /^\d+\.\d+\.\d+\S*\n$/);
});

test('--help lists the commands, without colours into a pipe', async () => {
  const { code, out, err } = await ended(launch(['--help']));
  assert.deepEqual([code, err], [0, '']);
  for (const command of ['serve', 'validate', 'plan', 'policies', 'list', 'stop', 'delete', 'schema']) {
    assert.match(out, new RegExp(`^ +${command} +\\S`, 'm'));
  }
  assert.ok(!out.includes('\u001b'));
});

test('an unknown command is exit code 2, on standard error', async () => {
  const { code, out, err } = await ended(launch(['vaildate']));
  assert.deepEqual([code, out], [2, '']);
  assert.match(err, /did you mean "validate"\?/);
});

test('a reader that goes away early is no failure', async () => {
  const child = launch(['--help']);
  child.stdout?.destroy();
  assert.deepEqual(await ended(child).then(({ code, err }) => [code, err]), [0, '']);
});
