/** For every variable: its default, and texts that it takes or refuses. */
import { availableParallelism } from 'node:os';
import path from 'node:path';
import type { Config, VariableName } from '../../src/config.ts';
import { authOf, key, mount, root, write } from './fixtures.ts';
import { kubernetesRows } from './kubernetes-rows.ts';

export interface Row {
  readonly field: (config: Config) => unknown;
  readonly whenUnset: unknown;
  readonly good: readonly (readonly [text: string, value: unknown])[];
  readonly bad: readonly string[];
}

/** A variable that is no good alone. */
function unset(field: Row['field'], whenUnset: unknown, bad: readonly string[]): Row {
  return { field, whenUnset, good: [], bad };
}

export const rows: Readonly<Record<VariableName, Row>> = {
  ...kubernetesRows,
  TERMINALS_BACKEND: {
    field: ({ backend }) => backend,
    whenUnset: 'docker',
    good: [
      ['process', 'process'],
      ['auto', 'auto'],
      ['docker', 'docker'],
      ['kubernetes-operator', 'kubernetes-operator'],
    ],
    bad: ['Docker', 'kubernetes', 'operator'],
  },
  TERMINALS_API_KEY: {
    field: authOf,
    whenUnset: key,
    good: [
      ['a!b~', 'a!b~'],
      ['new, old', 'new,old'],
      ['new\nold', 'new,old'],
    ],
    bad: ['two words', 'schlüssel', ' \t '],
  },
  TERMINALS_AUTH: { field: authOf, whenUnset: key, good: [['key', key]], bad: ['none', 'Open', 'open'] },
  TERMINALS_IMAGE: {
    field: ({ image }) => image,
    whenUnset: 'ghcr.io/open-webui/open-terminal:latest',
    good: [
      ['alpine', 'alpine'],
      ['registry.example.org:5000/a/b_c:1.2-x', 'registry.example.org:5000/a/b_c:1.2-x'],
      [`a/b@sha256:${'0'.repeat(64)}`, `a/b@sha256:${'0'.repeat(64)}`],
    ],
    bad: ['two words', 'Upper/Case', 'a:', 'https://example.org/a', 'a@sha256:12'],
  },
  TERMINALS_WORKERS: {
    field: ({ workers }) => workers,
    whenUnset: 1,
    good: [
      ['0', 1],
      ['1', 1],
      ['2', 2],
      ['auto', availableParallelism()],
    ],
    bad: ['-1', '1.5', 'all', '129', '2x', 'Auto'],
  },
  TERMINALS_PORT: {
    field: ({ port }) => port,
    whenUnset: 3000,
    good: [
      ['0', 0],
      ['65535', 65_535],
    ],
    bad: ['65536', '-1', '3000.5', '0x50', '1e3', 'http', '3000/tcp', '+80'],
  },
  TERMINALS_HOST: {
    field: ({ host }) => host,
    whenUnset: '0.0.0.0',
    good: [
      ['::1', '::1'],
      ['localhost', 'localhost'],
      ['terminals.example.org', 'terminals.example.org'],
    ],
    bad: ['[::1]', 'http://localhost', 'localhost:3000', '127.1', '256.1.1.1', '*', 'a b', '-a', '0'],
  },
  TERMINALS_NETWORK: {
    field: ({ networks }) => networks,
    whenUnset: [],
    good: [
      ['a', ['a']],
      ['a, b_2,a,', ['a', 'b_2']],
    ],
    bad: ['a b', 'host', 'a,none', 'container:x'],
  },
  TERMINALS_DOCKER_HOST: {
    field: ({ publishHost }) => publishHost,
    whenUnset: '127.0.0.1',
    good: [
      ['10.0.0.2', '10.0.0.2'],
      ['::1', '::1'],
    ],
    bad: ['unix:///var/run/docker.sock', 'tcp://10.0.0.2:2375', 'localhost'],
  },
  TERMINALS_DATA_DIR: {
    field: ({ dataDir }) => dataDir,
    whenUnset: path.join(root, 'data/terminals'),
    good: [
      ['/srv/homes/', '/srv/homes'],
      ['homes', path.join(root, 'homes')],
    ],
    bad: [write('a-file', 'x')],
  },
  TERMINALS_IDLE_TIMEOUT_MINUTES: {
    field: ({ idleTimeoutMinutes }) => idleTimeoutMinutes,
    whenUnset: 0,
    good: [
      ['30', 30],
      ['0.5', 0.5],
    ],
    bad: ['-1', '30m', '1e3', 'Infinity', '525601', 'never', '.5'],
  },
  TERMINALS_MAX_CPU: {
    field: ({ maxCpuMillis }) => maxCpuMillis,
    whenUnset: null,
    good: [
      ['1.5', 1500],
      ['500m', 500],
    ],
    bad: ['0', '-1', 'two', '1 core'],
  },
  TERMINALS_MAX_MEMORY: {
    field: ({ maxMemoryBytes }) => maxMemoryBytes,
    whenUnset: null,
    good: [
      ['1Gi', 2 ** 30],
      ['500M', 500_000_000],
    ],
    bad: ['0', '1GB', 'much', '-1Gi'],
  },
  TERMINALS_MAX_TERMINALS: {
    field: ({ maxTerminals }) => maxTerminals,
    whenUnset: null,
    good: [
      ['1', 1],
      ['100000', 100_000],
    ],
    bad: ['0', '-1', '1.5', '20 terminals', '100001'],
  },
  TERMINALS_MAX_TOTAL_MEMORY: {
    field: ({ maxTotalMemoryBytes }) => maxTotalMemoryBytes,
    whenUnset: null,
    good: [
      ['16Gi', 2 ** 34],
      ['500M', 500_000_000],
    ],
    bad: ['0', '1GB', 'much', '-1Gi'],
  },
  TERMINALS_POLICIES_DIR: {
    field: ({ policiesDir }) => policiesDir,
    whenUnset: null,
    good: [
      [root, root],
      ['.', root],
    ],
    bad: [write('policy.yaml', 'x')],
  },
  // More of it in policies-git.test.ts.
  TERMINALS_POLICIES_GIT: {
    field: ({ policiesGit }) => policiesGit?.location ?? null,
    whenUnset: null,
    good: [
      [
        'https://git.example.org/a/b.git#main:policies',
        { url: 'https://git.example.org/a/b.git', protocol: 'https', ref: 'main', folder: 'policies' },
      ],
    ],
    bad: ['policies', 'https://u:p@git.example.org/a.git', 'ext::sh -c x', 'https://a.org/b#-x'],
  },
  TERMINALS_POLICIES_GIT_INTERVAL: {
    field: ({ policiesGit }) => policiesGit,
    whenUnset: null,
    good: [['0', null]],
    bad: ['-1', '1m', '86401'],
  },
  TERMINALS_POLICIES_GIT_WEBHOOK_SECRET: unset(({ policiesGit }) => policiesGit, null, ['a secret', 'alone']),
  TERMINALS_POLICIES_GIT_VERIFY: unset(({ policiesGit }) => policiesGit, null, ['nowhere', '.']),
  TERMINALS_POLICIES_GIT_SSH_KEY_FILE: unset(({ policiesGit }) => policiesGit, null, ['nowhere']),
  TERMINALS_POLICIES_GIT_TOKEN_FILE: unset(({ policiesGit }) => policiesGit, null, ['nowhere']),
  TERMINALS_ALLOWED_IMAGES: {
    field: ({ allowedImages }) => allowedImages,
    whenUnset: [],
    good: [['ghcr.io/*, a:*', ['ghcr.io/*', 'a:*']]],
    bad: ['a b', 'ghcr.io/*;b', '^a$'],
  },
  TERMINALS_DOCKER_MOUNTS: {
    field: ({ mounts }) => mounts,
    whenUnset: [],
    good: [
      ['[]', []],
      [JSON.stringify([mount]), [{ ...mount, readOnly: true }]],
      [
        JSON.stringify([{ source: '/srv//a/', target: '/mnt/a/', readOnly: false }]),
        [{ source: '/srv/a', target: '/mnt/a', readOnly: false }],
      ],
    ],
    bad: [
      '/srv:/mnt',
      '{}',
      'null',
      '[1]',
      '[[]]',
      ...[
        { source: '/srv' },
        { target: '/mnt' },
        { ...mount, source: 'srv' },
        { ...mount, source: '/srv/../etc' },
        { ...mount, source: '/srv\0' },
        { ...mount, target: 'mnt' },
        { ...mount, target: '/' },
        { ...mount, target: '/home' },
        { ...mount, target: '/home/user' },
        { ...mount, target: '/home//user/' },
        { ...mount, target: '/home/user/x' },
        { ...mount, target: '/mnt/../home/user' },
        { ...mount, readOnly: 'yes' },
        { ...mount, readonly: false },
      ].map((one) => JSON.stringify([one])),
      JSON.stringify([mount, { source: '/srv/other', target: '/mnt/data/' }]),
    ],
  },
  TERMINALS_SECRETS_DIR: {
    field: ({ secretsDir }) => secretsDir,
    whenUnset: null,
    good: [
      ['/run/terminals-secrets', '/run/terminals-secrets'],
      ['secrets', path.join(root, 'secrets')],
    ],
    bad: [write('no-directory', 'x')],
  },
  TERMINALS_OPEN_WEBUI_URL: {
    field: ({ tokens }) => tokens.openWebUi?.url ?? null,
    whenUnset: null,
    good: [
      ['http://localhost:8080', 'http://localhost:8080'],
      ['https://chat.example.org/ai/', 'https://chat.example.org/ai'],
    ],
    bad: ['localhost:8080', 'ftp://example.org', 'http://a?b', 'http://a#b', 'http://u:p@a', 'http://'],
  },
  // These need the address as well; see tokens.test.ts.
  TERMINALS_OPEN_WEBUI_SECRET_KEY: unset(({ tokens }) => tokens.openWebUi, null, ['a secret', 'alone']),
  TERMINALS_OPEN_WEBUI_API_KEY: unset(({ tokens }) => tokens.openWebUi, null, ['a key', 'alone']),
  TERMINALS_FORWARD_JWT_SECRET: {
    field: ({ tokens }) => tokens.forwardJwtSecret?.reveal() ?? null,
    whenUnset: null,
    good: [['forwarded', 'forwarded']],
    bad: ['two words'],
  },
  TERMINALS_OIDC_ISSUER: unset(({ tokens }) => tokens.oidc, null, ['idp', 'https://idp.example.org']),
  TERMINALS_OIDC_AUDIENCE: unset(({ tokens }) => tokens.oidc, null, ['open-webui']),
  TERMINALS_OIDC_JWKS_URL: unset(({ tokens }) => tokens.oidc, null, ['keys', 'https://idp.example.org/keys']),
  TERMINALS_OIDC_ALGORITHMS: {
    field: ({ tokens }) => tokens.oidc,
    whenUnset: null,
    good: [['RS256,ES256', null]],
    bad: ['HS256', 'none', 'RS256,HS512', 'rs256'],
  },
  TERMINALS_USER_CLAIM: {
    field: ({ tokens }) => tokens.oidc,
    whenUnset: null,
    good: [['oid', null]],
    bad: [],
  },
  TERMINALS_GROUPS_CLAIM: {
    field: ({ tokens }) => tokens.oidc,
    whenUnset: null,
    good: [['realm_access.roles', null]],
    bad: [],
  },
  TERMINALS_USER_ID_FROM: {
    field: ({ tokens }) => tokens.oidc,
    whenUnset: null,
    good: [['header', null]],
    bad: ['token'],
  },
  TERMINALS_TOKEN_CACHE_TTL: {
    field: ({ tokens }) => tokens.cacheTtlMs,
    whenUnset: 60_000,
    good: [
      ['0', 0],
      ['1.5', 1_500],
    ],
    bad: ['-1', '1m', '86401', 'Infinity'],
  },
  TERMINALS_TOKEN_STALE_SECONDS: {
    field: ({ tokens }) => tokens.staleMs,
    whenUnset: 300_000,
    good: [['0', 0]],
    bad: ['-1', 'for ever'],
  },
  TERMINALS_UNKNOWN_GROUPS: {
    field: ({ unknownGroups }) => unknownGroups,
    whenUnset: 'allow',
    good: [['deny', 'deny']],
    bad: ['no', 'Deny'],
  },
  TERMINALS_ADMIN_KEY: {
    field: ({ adminKeys }) => adminKeys.map((one) => one.reveal()),
    whenUnset: [],
    good: [['new,old', ['new', 'old']]],
    bad: ['two words'],
  },
  TERMINALS_ADMIN_GROUP: {
    field: ({ adminGroup }) => adminGroup,
    whenUnset: null,
    good: [['Platform team', 'Platform team']],
    bad: [],
  },
  TERMINALS_POLICY_WRITES: {
    field: ({ policyWrites }) => policyWrites,
    whenUnset: false,
    good: [
      ['true', true],
      ['false', false],
    ],
    bad: ['yes', '1', 'True'],
  },
  TERMINALS_AUDIT_LOG: {
    field: ({ auditLog }) => auditLog,
    whenUnset: null,
    good: [
      ['stdout', 'stdout'],
      ['/var/log/audit', { file: '/var/log/audit' }],
      ['audit.log', { file: path.join(root, 'audit.log') }],
    ],
    bad: [],
  },
  TERMINALS_LOG_LEVEL: {
    field: ({ logLevel }) => logLevel,
    whenUnset: 'info',
    good: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'].map((level) => [level, level]),
    bad: ['INFO', 'warning', '30'],
  },
};
