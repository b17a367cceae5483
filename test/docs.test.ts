import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { generatedPages } from '../docs/generate.ts';

const read = (file: string) => readFile(new URL(`../${file}`, import.meta.url), 'utf8');

test('generated pages are what `npm run generate` would write', async () => {
  for (const [file, text] of await generatedPages()) assert.equal(await read(file), text, file);
});

test('every error code has a line in the list of problems', async () => {
  const [source = ''] = (await read('src/errors.ts')).split('\nexport abstract class');
  const page = await read('docs/problems.md');
  const codes = [...source.matchAll(/^ {2}\| '([a-z-]+)'/gm)].map(([, code]) => code);
  assert.ok(codes.length > 10, String(codes));
  for (const code of codes) assert.match(page, new RegExp(`^\\| \`${code}\` \\| \\d{3} \\|`, 'm'));
});

test('every dependency is listed with its reason', async () => {
  const { dependencies, devDependencies } = JSON.parse(await read('package.json'));
  const page = await read('docs/dependencies.md');
  for (const name of Object.keys({ ...dependencies, ...devDependencies })) {
    if (!name.startsWith('@types/')) assert.ok(page.includes(`\`${name}\``), name);
  }
});

test('links between pages lead somewhere', async () => {
  for (const file of ['README.md', 'docs/dependencies.md']) {
    for (const [, target] of (await read(file)).matchAll(/\]\(([^):#]+)\)/g)) {
      await assert.doesNotReject(
        read(new URL(target ?? '', `file:///${file}`).pathname.slice(1)),
        `${file}: ${target}`,
      );
    }
  }
});
