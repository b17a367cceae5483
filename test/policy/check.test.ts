import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { checkMeaning, type PolicyBounds } from '../../src/policy/check.ts';
import { specOf } from './documents.ts';
import { policyText, problemsOf, rulesWith, setOf } from './fixtures.ts';

function check(spec: unknown, bounds: Partial<PolicyBounds> = {}) {
  return checkMeaning({ metadata: { name: 'a' }, spec: specOf(spec) }, rulesWith(bounds));
}

/** Every finding in one line. */
function said(spec: unknown, bounds: Partial<PolicyBounds> = {}): readonly string[] {
  return check(spec, bounds).findings.map(
    ({ severity, path, message, hint }) => `${severity}: ${path.join('.')}: ${message} (${hint})`,
  );
}

function limits(cpu: unknown, memory: unknown = '1Gi') {
  return { resources: { limits: { cpu, memory } } };
}

test('a spec of defaults has nothing wrong, and comes out as it went in', () => {
  assert.deepEqual(check({}), { spec: specOf({}), findings: [] });
});

test('everything that is wrong is said at once', () => {
  const spec = {
    image: 'A B',
    packages: ['a', 'a'],
    env: { OPEN_TERMINAL_API_KEY: 'x' },
    ...limits('x', 'y'),
  };
  assert.deepEqual(
    check(spec).findings.map(({ path }) => path.slice(1).join('.')),
    ['image', 'resources.limits.cpu', 'resources.limits.memory', 'packages.1', 'env.OPEN_TERMINAL_API_KEY'],
  );
});

describe('a quantity', () => {
  for (const [cpu, memory] of [
    ['2', '4Gi'],
    ['500m', '512Mi'],
    [0.5, 1_073_741_824],
    ['1e0', '1e9'],
    [2, '500M'],
  ]) {
    test(`of ${cpu} and ${memory} is good`, () => assert.deepEqual(said(limits(cpu, memory)), []));
  }

  for (const [cpu, message] of [
    ['two', '"two" is not a quantity'],
    ['2 cores', '"2 cores" is not a quantity'],
    ['', '"" is not a quantity'],
    ['0', '"0" is not above 0'],
    [-1, '"-1" is not above 0'],
  ]) {
    test(`of CPU says: ${message}`, () => {
      assert.deepEqual(said(limits(cpu)), [
        `error: spec.resources.limits.cpu: ${message} (write cores such as "2" or 500m)`,
      ]);
    });
  }

  for (const [memory, message] of [
    ['4GB', '"4GB" is not a quantity'],
    ['4 Gi', '"4 Gi" is not a quantity'],
    [0, '"0" is not a number of bytes above 0'],
    ['-1Gi', '"-1Gi" is not a number of bytes above 0'],
    ['1e40', '"1e40" is not a number of bytes above 0'],
  ]) {
    test(`of memory says: ${message}`, () => {
      assert.deepEqual(said(limits('1', memory)), [
        `error: spec.resources.limits.memory: ${message} (write bytes such as 512Mi or 4Gi)`,
      ]);
    });
  }

  test('of a request is checked as that of a limit', () => {
    assert.deepEqual(said({ resources: { requests: { cpu: 'x', memory: 'y' } } }), [
      'error: spec.resources.requests.cpu: "x" is not a quantity (write cores such as "2" or 500m)',
      'error: spec.resources.requests.memory: "y" is not a quantity (write bytes such as 512Mi or 4Gi)',
    ]);
  });

  test('of a home is checked as well', () => {
    assert.deepEqual(said({ persistence: { size: 'huge' } }), [
      'error: spec.persistence.size: "huge" is not a quantity (write a size such as 5Gi)',
    ]);
  });

  test('of very little memory is a warning', () => {
    assert.deepEqual(said(limits('1', '63Mi')), [
      'warning: spec.resources.limits.memory: 63Mi is little memory (Open Terminal itself needs about 64Mi)',
    ]);
    assert.deepEqual(said(limits('1', '64Mi')), []);
  });
});

describe('a request', () => {
  test('above its limit is an error', () => {
    const resources = { requests: { cpu: '3', memory: '3Gi' }, limits: { cpu: '2', memory: '2Gi' } };
    assert.deepEqual(said({ resources }), [
      'error: spec.resources.requests.cpu: the request 3 is above the limit 2 (lower the request, or raise the limit)',
      'error: spec.resources.requests.memory: the request 3Gi is above the limit 2Gi (lower the request, or raise the limit)',
    ]);
  });

  test('as high as its limit, however it is written, is good', () => {
    const resources = { requests: { cpu: '2000m', memory: '2048Mi' }, limits: { cpu: 2, memory: '2Gi' } };
    assert.deepEqual(said({ resources }), []);
  });

  test('that nobody wrote follows a lower limit', () => {
    const { spec, findings } = check(limits('50m', '128Mi'));
    assert.deepEqual(findings, []);
    assert.deepEqual(spec.resources.requests, { cpu: '50m', memory: '128Mi' });
  });
});

describe('a limit above the bound', () => {
  const bounds = { maxCpuMillis: 2000, maxMemoryBytes: 2 ** 30 };
  const high = { resources: { requests: { cpu: '3', memory: '3Gi' }, limits: { cpu: '4', memory: '4Gi' } } };

  test('is an error where files are validated', () => {
    assert.deepEqual(said(high, { ...bounds, mode: 'validate' }), [
      'error: spec.resources.limits.cpu: 4 is above TERMINALS_MAX_CPU (write at most 2)',
      'error: spec.resources.limits.memory: 4Gi is above TERMINALS_MAX_MEMORY (write at most 1Gi)',
    ]);
  });

  test('is lowered with a warning where the server runs, and the request with it', () => {
    const { spec, findings } = check(high, { ...bounds, mode: 'run' });
    assert.deepEqual(
      findings.map(({ severity, message, hint }) => [severity, message, hint]),
      [
        ['warning', '4 is above TERMINALS_MAX_CPU', '2 is used instead'],
        ['warning', '4Gi is above TERMINALS_MAX_MEMORY', '1Gi is used instead'],
      ],
    );
    assert.deepEqual(spec.resources, {
      requests: { cpu: '2', memory: '1Gi' },
      limits: { cpu: '2', memory: '1Gi', pids: 2048 },
    });
  });

  test('leaves a request below the bound as it is', () => {
    const { spec } = check(limits('4', '4Gi'), { ...bounds, mode: 'run' });
    assert.deepEqual(spec.resources.requests, { cpu: '100m', memory: '256Mi' });
  });

  test('is one that nobody wrote, too: the default may be above the bound', () => {
    const { spec, findings } = check({}, { maxCpuMillis: 500, mode: 'run' });
    assert.equal(findings.length, 1);
    assert.equal(spec.resources.limits.cpu, '500m');
  });

  test('is not one that is as high as the bound, nor where there is none', () => {
    assert.deepEqual(said(limits('2000m', '1024Mi'), { ...bounds, mode: 'validate' }), []);
    assert.deepEqual(said(limits('1000', '1000Gi'), { mode: 'validate' }), []);
  });
});

test('a package that is listed twice is a warning at the second', () => {
  assert.deepEqual(said({ packages: ['a', 'b', 'a'], pipPackages: ['a', 'a', 'a'] }), [
    'warning: spec.packages.2: "a" is listed twice (keep one of the two)',
    'warning: spec.pipPackages.1: "a" is listed twice (keep one of the two)',
    'warning: spec.pipPackages.2: "a" is listed twice (keep one of the two)',
  ]);
});

test('a variable that has a field of its own is refused at its name, with that field', () => {
  const env = {
    OPEN_TERMINAL_API_KEY: 'x',
    OPEN_TERMINAL_PACKAGES: 'y',
    OPEN_TERMINAL_ALLOWED_DOMAINS: '',
    TZ: 'z',
  };
  assert.ok(check({ env }).findings.every(({ atName }) => atName));
  assert.deepEqual(said({ env }), [
    "error: spec.env.OPEN_TERMINAL_API_KEY: OPEN_TERMINAL_API_KEY can't be set here (leave it out: every terminal gets a key of its own)",
    "error: spec.env.OPEN_TERMINAL_PACKAGES: OPEN_TERMINAL_PACKAGES can't be set here (use spec.packages)",
    "error: spec.env.OPEN_TERMINAL_ALLOWED_DOMAINS: OPEN_TERMINAL_ALLOWED_DOMAINS can't be set here (use spec.egress.allowedDomains)",
  ]);
});

test('a variable named as something that every object has is good', () => {
  assert.deepEqual(said({ env: { constructor: 'x', toString: 'y' } }), []);
});

describe('a secret variable', () => {
  const reference = { name: 'team-keys', key: 'openai' };

  test('of a name that env has, too, is refused at its name', () => {
    const spec = { env: { A: 'x', B: 'y' }, secretEnv: { B: reference, C: reference } };
    assert.ok(check(spec).findings.every(({ atName }) => atName));
    assert.deepEqual(said(spec), ['error: spec.secretEnv.B: B is in env, too (keep one of the two)']);
  });

  test('that Terminals itself sets is refused as it is in env', () => {
    assert.deepEqual(
      said({ secretEnv: { OPEN_TERMINAL_API_KEY: reference, OPEN_TERMINAL_PACKAGES: reference } }),
      [
        "error: spec.secretEnv.OPEN_TERMINAL_API_KEY: OPEN_TERMINAL_API_KEY can't be set here (leave it out: every terminal gets a key of its own)",
        "error: spec.secretEnv.OPEN_TERMINAL_PACKAGES: OPEN_TERMINAL_PACKAGES can't be set here (use spec.packages)",
      ],
    );
  });

  test('stands where it is written: file, line and column', () => {
    const fields = ['env: {A: x}', 'secretEnv:', '  A: {name: a, key: b}'];
    assert.deepEqual(problemsOf(setOf({ 'a.yaml': policyText('a', ...fields) })), [
      'a.yaml:8:5: error: spec.secretEnv.A: A is in env, too (keep one of the two)',
    ]);
  });

  test('whose reference would leave its directory is refused at that very word', () => {
    const fields = ['secretEnv:', '  A: {name: .., key: ../../etc/passwd}'];
    const found = setOf({ 'a.yaml': policyText('a', ...fields) }).problems;
    assert.deepEqual(
      found.map(({ line, column, path }) => [line, column, path]),
      [
        [7, 15, 'spec.secretEnv.A.name'],
        [7, 24, 'spec.secretEnv.A.key'],
      ],
    );
  });
});

describe('terminals that are warm', () => {
  test('are for policies that keep no home, and the problem says where and what to do', () => {
    assert.deepEqual(said({ warm: 2 }), [
      'error: spec.warm: terminals whose home is kept can not be started before their user is known (set persistence.enabled: false (files then end with the terminal), or leave warm out)',
    ]);
    assert.deepEqual(said({ warm: 2, persistence: { enabled: false } }), []);
    assert.deepEqual(said({ warm: 0 }), []);
  });
});
