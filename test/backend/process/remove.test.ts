import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, chmod, chown, mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { homePath } from '../../../src/backend/home.ts';
import { terminalName } from '../../../src/terminal/names.ts';
import { backendOf, emptyDirectory, keyOf, never, root } from './open-terminal.ts';

const asRoot = { skip: !root && 'needs root' };
/** Nobody has this one. */
const uid = 265_432;
/** Without care a file outside is gone within the first second of it. */
const swapForMs = 4_000;

/** Exchanges folders in a home for links that lead out of it and back, as fast as it can. */
const swapping = `
import os, sys
home, outside = sys.argv[1:]
def attempt(call, *args):
  try: call(*args)
  except OSError: pass
def rename(old, new): attempt(os.rename, os.path.join(home, old), os.path.join(home, new))
names = [str(number) for number in range(16)]
while True:
  for name in names:
    attempt(os.makedirs, os.path.join(home, name, 'in'))
    attempt(os.symlink, outside, os.path.join(home, name + '.link'))
  for name in names:
    rename(name, name + '.folder')
    rename(name + '.link', name)
  for name in names:
    rename(name, name + '.link')
    rename(name + '.folder', name)
`;

const key = keyOf('alice');
const places = {
  'the files of a terminal': (dataDir: string) => homePath(dataDir, key),
  'a terminal without persistence': (dataDir: string) =>
    path.join(dataDir, '.terminals/process', terminalName(key), 'home'),
};

for (const [what, homeIn] of Object.entries(places)) {
  test(
    `removing ${what} touches nothing else, whatever its user does in there meanwhile`,
    asRoot,
    async (t) => {
      const dataDir = await emptyDirectory(t);
      await chmod(dataDir, 0o711);
      const outside = path.join(dataDir, 'outside');
      await mkdir(outside, { mode: 0o700 });
      await writeFile(path.join(outside, 'precious'), '');
      const backend = backendOf(t, dataDir);
      const home = homeIn(dataDir);
      const swap = spawn('python3', ['-c', swapping, home, outside], { cwd: '/', uid, gid: uid });
      let tries = 0;
      try {
        for (const end = performance.now() + swapForMs; performance.now() < end; tries += 1) {
          await mkdir(home, { recursive: true });
          await chown(home, uid, uid);
          while ((await readdir(home)).length < 16 && performance.now() < end) await sleep(1);
          // Its user may be too fast for it: that is said then.
          await backend
            .remove(key, { files: true }, never)
            .catch((error: unknown) => assert.ok(error instanceof Error));
          assert.deepEqual(await readdir(outside), ['precious'], `gone after ${tries} tries`);
        }
      } finally {
        swap.kill('SIGKILL');
        await once(swap, 'exit');
      }
      await backend.remove(key, { files: true }, never);
      await assert.rejects(access(home), { code: 'ENOENT' });
    },
  );
}
