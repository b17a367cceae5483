/** Each `golden/*.terminal.yaml` and the objects it becomes beside it. GOLDEN=write writes those anew. */
import assert from 'node:assert/strict';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { networkPolicyOf, secretOf, serviceOf, volumeClaimOf } from '../../src/operator/children.ts';
import { operatorDefaults } from '../../src/operator/defaults.ts';
import { podOf } from '../../src/operator/pod.ts';
import { terminal } from './fixtures.ts';

const folder = fileURLToPath(new URL('./golden/', import.meta.url));

for (const file of (await readdir(folder)).filter((name) => name.endsWith('.terminal.yaml'))) {
  const name = file.replace('.terminal.yaml', '');
  test(`the Terminal "${name}" becomes exactly the objects that are written down`, async () => {
    const resource = terminal({ spec: parse(await readFile(`${folder}${file}`, 'utf8')) });
    const objects = [
      podOf(resource, operatorDefaults, '0123456789abcdef'),
      serviceOf(resource),
      secretOf(resource),
      volumeClaimOf(resource, operatorDefaults),
      networkPolicyOf(resource, operatorDefaults),
    ];
    const target = `${folder}${name}.objects.yaml`;
    if (process.env.GOLDEN === 'write') {
      await writeFile(
        target,
        objects.map((object) => `---\n${stringify(object, { aliasDuplicateObjects: false })}`).join(''),
      );
    }
    const written = parseAllDocuments(await readFile(target, 'utf8')).map((document) => document.toJS());
    assert.deepEqual(JSON.parse(JSON.stringify(objects)), written);
  });
}
