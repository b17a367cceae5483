import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { at } from '../charts/generate.ts';

const compose = async (name: string): Promise<unknown> =>
  parse(await readFile(fileURLToPath(new URL(`../compose/${name}`, import.meta.url)), 'utf8'), {
    merge: true,
  });
const production = await compose('compose.production.yaml');
const quickStart = await compose('compose.yaml');

/** The words of a list. */
function words(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}

const command = words(at(production, ['services', 'socket-proxy', 'command']));

/** Whether the socket proxy lets a call through: its patterns are about the whole path. */
function lets(method: string, path: string): boolean {
  const prefix = `-allow${method}=`;
  return command
    .filter((argument) => argument.startsWith(prefix))
    .some((argument) => new RegExp(`^(?:${argument.slice(prefix.length)})$`).test(path));
}

const id = 'a'.repeat(64);
const needed: readonly (readonly [method: string, path: string])[] = [
  ['GET', '/_ping'],
  ['GET', '/info'],
  ['GET', '/events'],
  ['GET', '/info'],
  ['GET', '/containers/json'],
  ['GET', `/containers/${id}/json`],
  ['GET', '/containers/terminals-data-science-alice_x.y/json'],
  ['GET', `/containers/${id}/logs`],
  ['GET', '/containers/terminals-default-alice/stats'],
  ['GET', '/images/ghcr.io/open-webui/open-terminal:latest/json'],
  ['GET', `/images/r.example:5000/a/b@sha256:${id}/json`],
  ['GET', '/images/json'],
  ['POST', '/images/create'],
  ['POST', '/commit'],
  ['POST', '/containers/create'],
  ['POST', '/v1.41/containers/create'],
  ['POST', `/containers/${id}/start`],
  ['POST', `/containers/${id}/wait`],
  ['POST', '/containers/terminals-default-alice/stop'],
  ['POST', '/containers/terminals-default-alice/update'],
  ['POST', '/containers/terminals-warm_data-science_0123456789abcdef/rename'],
  ['POST', '/networks/terminals-users/connect'],
  ['DELETE', `/containers/${id}`],
  ['DELETE', '/images/terminals-baked:0123456789abcdef'],
];

for (const [method, path] of needed) {
  test(`the socket proxy lets ${method} ${path.replace(id, '<id>')} through`, () => {
    assert.ok(lets(method, path));
  });
}

const refused: readonly (readonly [method: string, path: string])[] = [
  ['POST', `/containers/${id}/exec`],
  ['POST', `/containers/${id}/rename`],
  ['POST', '/containers/terminals-default-alice/rename'],
  ['POST', '/exec/1/start'],
  ['GET', `/containers/${id}/archive`],
  ['PUT', `/containers/${id}/archive`],
  ['GET', `/containers/${id}/export`],
  ['POST', '/build'],
  ['POST', '/volumes/create'],
  ['DELETE', '/volumes/terminals_homes'],
  ['DELETE', '/images/ghcr.io/open-webui/open-terminal:latest'],
  ['POST', '/networks/create'],
  ['POST', '/networks/bridge/connect'],
  ['POST', '/networks/terminals-engine/connect'],
  ['POST', '/networks/terminals-users/disconnect'],
  ['GET', '/swarm'],
  ['GET', '/containers/../secrets/json'],
];

for (const [method, path] of refused) {
  test(`the socket proxy refuses ${method} ${path.replace(id, '<id>')}`, () => {
    assert.ok(!lets(method, path));
  });
}

test('in production only the socket proxy has the socket, and only Terminals reaches it', () => {
  const services = Object.entries(Object(at(production, ['services'])));
  const withSocket = services.filter(([, service]) =>
    words(at(service, ['volumes'])).some((volume) => volume.includes('docker.sock')),
  );
  assert.deepEqual(
    withSocket.map(([name]) => name),
    ['socket-proxy'],
  );
  const onEngine = services.filter(([, service]) => words(at(service, ['networks'])).includes('engine'));
  assert.deepEqual(
    onEngine.map(([name]) => name),
    ['terminals', 'socket-proxy'],
  );
  assert.equal(at(production, ['networks', 'engine', 'internal']), true);
});

test('in production both run with a read-only root and are started again', () => {
  for (const name of ['terminals', 'socket-proxy']) {
    const service = at(production, ['services', name]);
    assert.equal(at(service, ['read_only']), true, name);
    assert.equal(at(service, ['restart']), 'always', name);
    assert.deepEqual(at(service, ['cap_drop']), ['ALL'], name);
    assert.deepEqual(at(service, ['security_opt']), ['no-new-privileges:true'], name);
  }
});

test('a container can be given homes, and no other directory of the host', () => {
  const volume = String(at(production, ['volumes', 'homes', 'name']));
  const allowed = command.filter((argument) => argument.startsWith('-allowbindmountfrom='));
  assert.deepEqual(allowed, [`-allowbindmountfrom=\${DOCKER_ROOT:-/var/lib/docker}/volumes/${volume}/_data`]);
});

test('users keep their files when the quick start becomes production', () => {
  for (const part of ['volumes', 'networks.users']) {
    const keys = part.split('.');
    assert.deepEqual(at(production, keys), at(quickStart, keys), part);
  }
});
