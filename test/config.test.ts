import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { inspect } from 'node:util';
import {
  type Config,
  type ConfigOptions,
  type ConfigProblem,
  formatProblem,
  isLoopback,
  loadConfig,
  Secret,
  type VariableName,
  variables,
  variablesTable,
} from '../src/config.ts';

const root = mkdtempSync(path.join(tmpdir(), 'terminals-config-'));
after(() => rmSync(root, { recursive: true, force: true }));

type Env = Record<string, string>;

const key = 'correct-horse-battery';
const usual: ConfigOptions = { dev: false, cwd: root };

function load(
  env: Env,
  options: Partial<ConfigOptions> = {},
): { config: Config; warnings: readonly string[] } {
  const loaded = loadConfig(env, { ...usual, ...options });
  if (!loaded.ok) assert.fail(loaded.problems.map(formatProblem).join('\n'));
  return loaded;
}

/** With a key, so that only what a test is about can be wrong. */
function keyed(env: Env, options: Partial<ConfigOptions> = {}) {
  return load({ TERMINALS_API_KEY: key, ...env }, options);
}

function problemsOf(env: Env, options: Partial<ConfigOptions> = {}): readonly ConfigProblem[] {
  const loaded = loadConfig(env, { ...usual, ...options });
  return loaded.ok ? assert.fail('it was taken as good') : loaded.problems;
}

function write(name: string, text: string): string {
  const file = path.join(root, name);
  writeFileSync(file, text);
  return file;
}

interface Row {
  readonly field: (config: Config) => unknown;
  readonly whenUnset: unknown;
  readonly good: readonly (readonly [text: string, value: unknown])[];
  readonly bad: readonly string[];
}

const authOf = ({ auth }: Config) => (auth.mode === 'key' ? auth.key.reveal() : auth.mode);
const mount = { source: '/srv/data', target: '/mnt/data' };

const rows: Readonly<Record<VariableName, Row>> = {
  TERMINALS_BACKEND: {
    field: ({ backend }) => backend,
    whenUnset: 'docker',
    good: [
      ['process', 'process'],
      ['auto', 'auto'],
      ['docker', 'docker'],
    ],
    bad: ['Docker', 'kubernetes', 'kubernetes-operator'],
  },
  TERMINALS_API_KEY: {
    field: authOf,
    whenUnset: key,
    good: [['a!b~', 'a!b~']],
    bad: ['two words', 'schlüssel', 'a\nb', ' \t '],
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
  TERMINALS_POLICIES_DIR: {
    field: ({ policiesDir }) => policiesDir,
    whenUnset: null,
    good: [
      [root, root],
      ['.', root],
    ],
    bad: [write('policy.yaml', 'x')],
  },
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
  TERMINALS_OPEN_WEBUI_URL: {
    field: () => undefined,
    whenUnset: undefined,
    good: [],
    bad: ['http://localhost:8080'],
  },
  TERMINALS_LOG_LEVEL: {
    field: ({ logLevel }) => logLevel,
    whenUnset: 'info',
    good: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'].map((level) => [level, level]),
    bad: ['INFO', 'warning', '30'],
  },
};

for (const { name } of variables) {
  const { field, whenUnset, good, bad } = rows[name];
  describe(name, () => {
    test('has its default when it is unset', () => {
      assert.deepEqual(field(keyed({}).config), whenUnset);
    });
    for (const [text, value] of good) {
      test(`takes ${JSON.stringify(text)}`, () =>
        assert.deepEqual(field(keyed({ [name]: text }).config), value));
    }
    for (const text of bad) {
      test(`refuses ${JSON.stringify(text)}, naming itself and what to write`, () => {
        const problems = problemsOf({ TERMINALS_API_KEY: key, [name]: text });
        assert.deepEqual(new Set(problems.map(({ variable }) => variable)), new Set([name]));
        for (const { value, message, hint } of problems) {
          assert.equal(value, name === 'TERMINALS_API_KEY' ? null : text);
          assert.ok(message.length > 5 && hint.length > 5, `${message} ${hint}`);
        }
      });
    }
    test('is unset when it is empty', () => {
      const env: Env = name === 'TERMINALS_API_KEY' ? { TERMINALS_AUTH: 'open' } : { TERMINALS_API_KEY: key };
      assert.deepEqual(
        load({ ...env, [name]: '' }).config.auth.mode,
        name === 'TERMINALS_API_KEY' ? 'open' : 'key',
      );
      if (name !== 'TERMINALS_API_KEY')
        assert.deepEqual(field(load({ ...env, [name]: '' }).config), whenUnset);
    });
  });
}

describe('problems', () => {
  test('are listed all at once, in the order of the table', () => {
    const problems = problemsOf({ TERMINALS_PORT: 'x', TERMINALS_LOG_LEVEL: 'y', TERMINALS_BACKEND: 'z' });
    const names = ['TERMINALS_BACKEND', 'TERMINALS_PORT', 'TERMINALS_LOG_LEVEL', 'TERMINALS_API_KEY'];
    assert.deepEqual(
      problems.map(({ variable }) => variable),
      names,
    );
  });

  test('of one value are listed all at once, each with its place', () => {
    const text = JSON.stringify([mount, { source: 'x', target: '/', readOnly: 1, mode: 'ro' }]);
    const messages = problemsOf({ TERMINALS_API_KEY: key, TERMINALS_DOCKER_MOUNTS: text }).map(
      ({ message }) => message,
    );
    assert.equal(messages.length, 4);
    assert.ok(
      messages.every((message) => message.startsWith('[1]')),
      messages.join('\n'),
    );
  });

  test('are one line each, with what to write', () => {
    const [problem] = problemsOf({ TERMINALS_API_KEY: key, TERMINALS_PORT: 'a\nb' });
    assert.ok(problem);
    assert.equal(
      formatProblem(problem),
      'TERMINALS_PORT="a\\nb": not a port. Write a whole number from 0 (any free port) to 65535, e.g. 3000.',
    );
  });

  test('quote a long value in part', () => {
    const [problem] = problemsOf({ TERMINALS_API_KEY: key, TERMINALS_IMAGE: ` ${'x '.repeat(5_000)}` });
    assert.ok(problem && formatProblem(problem).length < 300);
  });

  test('leave the password of a URL out of what they quote', () => {
    const url = 'https://admin:hunter2@example.org/';
    const [problem] = problemsOf({ TERMINALS_API_KEY: key, TERMINALS_OPEN_WEBUI_URL: url });
    assert.ok(problem);
    assert.doesNotMatch(formatProblem(problem), /hunter2/);
    assert.match(formatProblem(problem), /later version/);
  });

  test('say what a mistyped word was meant to be', () => {
    const [problem] = problemsOf({ TERMINALS_API_KEY: key, TERMINALS_BACKEND: 'dokcer' });
    assert.match(problem?.hint ?? '', /Did you mean docker\?/);
  });

  test('say that kubernetes-operator is not in this version yet', () => {
    const [problem] = problemsOf({ TERMINALS_API_KEY: key, TERMINALS_BACKEND: 'kubernetes-operator' });
    assert.match(problem?.message ?? '', /not in this version yet/);
  });
});

describe('space around a value', () => {
  test('is left out of the key, with a warning that does not show it', () => {
    const { config, warnings } = load({ TERMINALS_API_KEY: ` ${key}\n` });
    assert.equal(authOf(config), key);
    assert.equal(warnings.length, 1);
    assert.match(warnings[0] ?? '', /^TERMINALS_API_KEY has space around/);
    assert.doesNotMatch(warnings.join(), /correct-horse/);
  });

  test('is left out of any other value, with a warning', () => {
    const { config, warnings } = keyed({ TERMINALS_PORT: ' 80 ' });
    assert.equal(config.port, 80);
    assert.match(warnings.join(), /^TERMINALS_PORT has space around/);
  });

  test('alone is no key: it is refused rather than taken for open mode', () => {
    const [problem] = problemsOf({ TERMINALS_API_KEY: '  ', TERMINALS_HOST: '127.0.0.1' });
    assert.equal(problem?.variable, 'TERMINALS_API_KEY');
  });
});

describe('a key in a file', () => {
  const load_ = (file: string, env: Env = {}) => load({ TERMINALS_API_KEY_FILE: file, ...env });

  test('is read without the line feed at its end', () => {
    const { config, warnings } = load_(write('key', `${key}\n`));
    assert.equal(authOf(config), key);
    assert.deepEqual(warnings, []);
  });

  test('may be named relative to the working directory', () => {
    write('key-beside', key);
    assert.equal(authOf(load_('key-beside').config), key);
  });

  test('counts as a key where TERMINALS_AUTH is open', () => {
    const [problem] = problemsOf({ TERMINALS_API_KEY_FILE: write('key', key), TERMINALS_AUTH: 'open' });
    assert.equal(problem?.variable, 'TERMINALS_AUTH');
  });

  test('is not read where the variable is empty', () => {
    assert.equal(load_('', { TERMINALS_API_KEY: key }).config.auth.mode, 'key');
  });

  const wrong: readonly (readonly [what: string, file: string, message: RegExp])[] = [
    ['missing', path.join(root, 'nowhere'), /can't be read \(ENOENT\)/],
    ['empty', write('empty', ''), /empty/],
    ['blank', write('blank', ' \n\n'), /empty/],
    ['a directory', root, /not a file/],
    ['far too large', write('large', 'x'.repeat(100_000)), /too large/],
  ];
  for (const [what, file, message] of wrong) {
    test(`that is ${what} is a problem`, () => {
      const problems = problemsOf({ TERMINALS_API_KEY_FILE: file });
      assert.equal(problems.length, 1);
      assert.equal(problems[0]?.variable, 'TERMINALS_API_KEY_FILE');
      assert.equal(problems[0]?.value, file);
      assert.match(problems[0]?.message ?? '', message);
    });
  }

  const canReadAll = process.getuid?.() === 0;
  test('that may not be read is a problem', { skip: canReadAll && 'root may read every file' }, () => {
    const file = write('locked', key);
    chmodSync(file, 0);
    assert.match(problemsOf({ TERMINALS_API_KEY_FILE: file })[0]?.message ?? '', /EACCES/);
  });

  test('with two lines is a problem that shows neither', () => {
    const problems = problemsOf({ TERMINALS_API_KEY_FILE: write('two-lines', 'first-part\nsecond-part\n') });
    assert.equal(problems.length, 1);
    assert.doesNotMatch(
      JSON.stringify(problems) + problems.map(formatProblem).join(),
      /first-part|second-part/,
    );
  });

  test('beside the key itself is a problem', () => {
    const problems = problemsOf({ TERMINALS_API_KEY_FILE: write('key', 'other'), TERMINALS_API_KEY: key });
    assert.equal(problems.length, 1);
    assert.match(problems[0]?.message ?? '', /TERMINALS_API_KEY is set as well/);
  });
});

describe('aliases', () => {
  for (const [alias, field] of [
    ['TERMINALS_DOCKER_NETWORK', ({ networks }: Config) => networks[0]],
    ['TERMINALS_DOCKER_DATA_DIR', ({ dataDir }: Config) => path.basename(dataDir)],
  ] as const) {
    const name = alias.replace('DOCKER_', '');

    test(`${alias} is read as ${name}, without a warning`, () => {
      const { config, warnings } = keyed({ [alias]: 'this-one' });
      assert.equal(field(config), 'this-one');
      assert.deepEqual(warnings, []);
    });

    test(`${alias} may say the same as ${name}`, () => {
      assert.equal(field(keyed({ [alias]: 'one', [name]: 'one' }).config), 'one');
    });

    test(`${alias} may not say something else than ${name}`, () => {
      const problems = problemsOf({ TERMINALS_API_KEY: key, [alias]: 'one', [name]: 'two' });
      assert.deepEqual(
        problems.map(({ variable, value }) => [variable, value]),
        [[alias, 'one']],
      );
      assert.ok(problems[0]?.message.includes(name));
    });
  }

  test('a bad value is reported by the name it was set by', () => {
    const [problem] = problemsOf({ TERMINALS_API_KEY: key, TERMINALS_DOCKER_NETWORK: 'a b' });
    assert.equal(problem?.variable, 'TERMINALS_DOCKER_NETWORK');
  });
});

describe('who is let in', () => {
  for (const host of [
    '127.0.0.1',
    '127.8.9.1',
    '::1',
    '0:0:0:0:0:0:0:1',
    '::ffff:127.0.0.1',
    'localhost',
    'LocalHost',
  ]) {
    test(`everybody on ${host} without a key, with a warning`, () => {
      const { config, warnings } = load({ TERMINALS_HOST: host });
      assert.deepEqual(config.auth, { mode: 'open' });
      assert.match(warnings.join(), /No key is set/);
    });
  }

  for (const host of [
    '0.0.0.0',
    '::',
    '10.0.0.1',
    '128.0.0.1',
    '::ffff:10.0.0.1',
    'example.org',
    'localhost.example.org',
  ]) {
    test(`nobody on ${host} without a key or a word`, () => {
      assert.equal(isLoopback(host), false);
      const problems = problemsOf({ TERMINALS_HOST: host });
      assert.deepEqual(
        problems.map(({ variable }) => variable),
        ['TERMINALS_API_KEY'],
      );
      assert.match(problems[0]?.hint ?? '', /TERMINALS_AUTH=open/);
    });
  }

  test('everybody beyond loopback where TERMINALS_AUTH=open says so, with a warning', () => {
    const { config, warnings } = load({ TERMINALS_AUTH: 'open' });
    assert.deepEqual(config.auth, { mode: 'open' });
    assert.match(warnings.join(), /everybody who reaches 0\.0\.0\.0/);
  });

  test('nobody yet where a key and TERMINALS_AUTH=open contradict each other', () => {
    const [problem] = problemsOf({ TERMINALS_AUTH: 'open', TERMINALS_API_KEY: key });
    assert.equal(problem?.variable, 'TERMINALS_AUTH');
  });

  test('nobody yet where TERMINALS_AUTH=key asks for a key that is not there, on loopback too', () => {
    const [problem] = problemsOf({ TERMINALS_AUTH: 'key', TERMINALS_HOST: '127.0.0.1' });
    assert.equal(problem?.variable, 'TERMINALS_API_KEY');
  });

  test('a host that can not be read leads to one problem, not to one about the key', () => {
    assert.deepEqual(
      problemsOf({ TERMINALS_HOST: '[::1]' }).map(({ variable }) => variable),
      ['TERMINALS_HOST'],
    );
  });
});

describe('--dev', () => {
  const dev = { dev: true };

  test('changes defaults: backend, host, policies, and a key is made', () => {
    const { config } = load({}, dev);
    assert.deepEqual(
      [config.backend, config.host, config.policiesDir],
      ['auto', '127.0.0.1', path.join(root, 'policies')],
    );
    assert.ok(config.auth.mode === 'key' && config.auth.made && config.auth.key.reveal().length >= 32);
  });

  test('makes another key at every start', () => {
    assert.notEqual(authOf(load({}, dev).config), authOf(load({}, dev).config));
  });

  test('leaves alone what is set', () => {
    const env = { TERMINALS_BACKEND: 'docker', TERMINALS_HOST: '0.0.0.0', TERMINALS_API_KEY: key };
    const { config } = load(env, dev);
    assert.deepEqual([config.backend, config.host, authOf(config)], ['docker', '0.0.0.0', key]);
    assert.equal(config.auth.mode === 'key' && config.auth.made, false);
  });

  test('makes no key in open mode', () => {
    assert.deepEqual(load({ TERMINALS_AUTH: 'open' }, dev).config.auth, { mode: 'open' });
  });
});

describe('overrides', () => {
  test('come before the variable, and before a problem in it', () => {
    assert.equal(keyed({ TERMINALS_PORT: 'bad' }, { overrides: { TERMINALS_PORT: '81' } }).config.port, 81);
  });

  test('come before an alias', () => {
    const { config } = keyed({ TERMINALS_DOCKER_NETWORK: 'a' }, { overrides: { TERMINALS_NETWORK: 'b' } });
    assert.deepEqual(config.networks, ['b']);
  });

  test('come before a file', () => {
    const { config } = load(
      { TERMINALS_API_KEY_FILE: '/nowhere' },
      { overrides: { TERMINALS_API_KEY: key } },
    );
    assert.equal(authOf(config), key);
  });

  test('are checked as the variable is', () => {
    const problems = problemsOf({ TERMINALS_API_KEY: key }, { overrides: { TERMINALS_PORT: 'x' } });
    assert.deepEqual(
      problems.map(({ variable, value }) => [variable, value]),
      [['TERMINALS_PORT', 'x']],
    );
  });
});

describe('the policies directory', () => {
  test('is ./policies where that is there', () => {
    const cwd = path.join(root, 'with-policies');
    mkdirSync(path.join(cwd, 'policies'), { recursive: true });
    const { config, warnings } = keyed({}, { cwd });
    assert.equal(config.policiesDir, path.join(cwd, 'policies'));
    assert.deepEqual(warnings, []);
  });

  test('stays set where it is missing, with a warning', () => {
    const { config, warnings } = keyed({ TERMINALS_POLICIES_DIR: 'later' });
    assert.equal(config.policiesDir, path.join(root, 'later'));
    assert.match(warnings.join(), /not there \(yet\)/);
  });
});

describe('unknown variables', () => {
  test('are a warning that says what was meant', () => {
    const { warnings } = keyed({
      TERMINALS_NETWROK: 'a',
      TERMINALS_ALLOWED_IMAGE: 'b',
      TERMINALS_ZZZZZZZZZZ: 'c',
    });
    assert.deepEqual(warnings, [
      'TERMINALS_NETWROK is not a known variable. Did you mean TERMINALS_NETWORK?',
      'TERMINALS_ALLOWED_IMAGE is not a known variable. Did you mean TERMINALS_ALLOWED_IMAGES?',
      'TERMINALS_ZZZZZZZZZZ is not a known variable.',
    ]);
  });

  test('are not shown with their value: one may be a mistyped key', () => {
    const { warnings } = keyed({ TERMINALS_API_KYE: 'hunter2' });
    assert.match(warnings.join(), /TERMINALS_API_KEY\?/);
    assert.doesNotMatch(warnings.join(), /hunter2/);
  });

  test('of other programs are none of our business', () => {
    assert.deepEqual(keyed({ TERMINAL: 'x', TERM: 'y', PORT: '1' }).warnings, []);
  });

  test('that Kubernetes sets for Services are no warning', () => {
    const env = {
      TERMINALS_SERVICE_HOST: '10.0.0.1',
      TERMINALS_SERVICE_PORT: '3000',
      TERMINALS_SERVICE_PORT_HTTP: '3000',
      TERMINALS_PORT_3000_TCP: 'tcp://10.0.0.1:3000',
      TERMINALS_PORT_3000_TCP_ADDR: '10.0.0.1',
      TERMINALS_DEFAULT_ALICE_PORT: 'tcp://10.0.0.2:8000',
      TERMINALS_DEFAULT_ALICE_SERVICE_HOST: '10.0.0.2',
    };
    assert.deepEqual(keyed(env).warnings, []);
  });

  test('TERMINALS_PORT as Kubernetes sets it for a Service named terminals is not read, with a warning', () => {
    const env = { TERMINALS_SERVICE_HOST: '10.0.0.1', TERMINALS_PORT: 'tcp://10.0.0.1:8000' };
    const { config, warnings } = keyed(env);
    assert.equal(config.port, 3000);
    assert.match(warnings.join(), /enableServiceLinks/);
  });
});

test('a default image that is not allowed is a warning', () => {
  const { warnings } = keyed({ TERMINALS_ALLOWED_IMAGES: 'registry.example.org/*' });
  assert.match(warnings.join(), /TERMINALS_IMAGE .* is none of TERMINALS_ALLOWED_IMAGES/);
});

test('it is known whether image and idle timeout were set', () => {
  const unset = keyed({}).config;
  const set = keyed({ TERMINALS_IMAGE: 'a', TERMINALS_IDLE_TIMEOUT_MINUTES: '0' }).config;
  assert.deepEqual(
    [unset.imageIsSet, unset.idleTimeoutIsSet, set.imageIsSet, set.idleTimeoutIsSet],
    [false, false, true, true],
  );
});

test('a Config is frozen through and through', () => {
  const { config } = keyed({ TERMINALS_DOCKER_MOUNTS: JSON.stringify([mount]) });
  const parts = [config, config.auth, config.networks, config.allowedImages, config.mounts, ...config.mounts];
  assert.ok(parts.every(Object.isFrozen));
});

test('a key shows in no form of the Config but reveal()', () => {
  const { config } = keyed({});
  const shown = [
    inspect(config, { depth: null, showHidden: true }),
    JSON.stringify(config),
    `${new Secret(key)}`,
  ];
  for (const text of shown) {
    assert.doesNotMatch(text, /correct-horse/);
    assert.match(text, /\[secret\]/);
  }
});

test('a key shows in no problem and no warning', () => {
  const env = { TERMINALS_API_KEY: ` ${key} and more `, TERMINALS_AUTH: 'open', TERMINALS_FOO: key };
  const problems = problemsOf(env);
  assert.doesNotMatch(JSON.stringify(problems) + problems.map(formatProblem).join(), /correct-horse/);
});

test('the README has exactly the table of variables', () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const [, table] = /<!-- variables -->\n+([\s\S]*?)\n+<!-- \/variables -->/.exec(readme) ?? [];
  assert.equal(table, variablesTable());
});

test('the table has a row for every variable, its aliases and the file of its secret', () => {
  const table = variablesTable();
  for (const name of [
    ...Object.keys(rows),
    'TERMINALS_DOCKER_NETWORK',
    'TERMINALS_DOCKER_DATA_DIR',
    'TERMINALS_API_KEY_FILE',
  ]) {
    assert.ok(table.includes(`\`${name}\``), name);
  }
  assert.equal(table.split('\n').length, variables.length + 2);
});
