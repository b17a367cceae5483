import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';

const script = `
import { registerHooks } from 'node:module';
const loaded = [];
registerHooks({ resolve(specifier, context, next) { loaded.push(specifier); return next(specifier, context); } });
await import(process.argv[1] + 'src/command/serve.ts');
await import(process.argv[1] + 'src/backend/choose.ts');
console.log(JSON.stringify(loaded));
`;

test('the client libraries of engines are loaded only where they are used', async () => {
  const root = new URL('..', import.meta.url).href;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script, root]);
  const loaded: readonly string[] = JSON.parse(stdout);
  assert.ok(loaded.includes('fastify'));
  for (const library of ['@kubernetes/client-node', 'dockerode'])
    assert.ok(!loaded.includes(library), library);
});
