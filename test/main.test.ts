import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Command, type Io, type OptionValues, UsageError } from '../src/command/command.ts';
import { EngineUnavailableError } from '../src/errors.ts';
import { type Commands, main } from '../src/main.ts';

interface Call {
  readonly values: OptionValues;
  readonly positionals: readonly string[];
}

/** A command that remembers how it was called. */
function greet(calls: Call[], run: (io: Io) => Promise<number> = async () => 0): Command {
  return {
    name: 'greet',
    summary: 'say hello',
    help: 'Usage: terminals greet [NAME…] [--loud]\n',
    words: true,
    options: { loud: { type: 'boolean' }, name: { type: 'string', short: 'n', multiple: true } },
    run: async (values, positionals, io) => {
      calls.push({ values: { ...values }, positionals });
      return run(io);
    },
  };
}

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly calls: readonly Call[];
  readonly loaded: readonly string[];
}

interface Setup {
  readonly run?: (io: Io) => Promise<number>;
  readonly env?: Io['env'];
}

async function call(argv: readonly string[], { run, env = {} }: Setup = {}): Promise<Result> {
  const calls: Call[] = [];
  const loaded: string[] = [];
  const texts = { out: '', err: '' };
  const registry: Commands = {
    greet: {
      summary: 'say hello',
      load: async () => {
        loaded.push('greet');
        return greet(calls, run);
      },
    },
    part: {
      summary: 'say goodbye',
      load: async () => {
        throw new Error('this one is broken');
      },
    },
  };
  const io: Io = {
    out: (text) => {
      texts.out += text;
    },
    err: (text) => {
      texts.err += text;
    },
    env,
    cwd: '/',
    colour: false,
    signal: new AbortController().signal,
  };
  const code = await main(argv, io, registry);
  return { code, ...texts, calls, loaded };
}

const throwing = (error: Error): Setup => ({
  run: async () => {
    throw error;
  },
});

test('a command gets its options and the words that are none', async () => {
  const { code, calls } = await call(['greet', 'a', '--loud', '-n', 'x', '--name=y', '--', '--b']);
  assert.equal(code, 0);
  assert.deepEqual(calls, [{ values: { loud: true, name: ['x', 'y'] }, positionals: ['a', '--b'] }]);
});

test('what a command returns is the exit code', async () => {
  assert.equal((await call(['greet'], { run: async () => 7 })).code, 7);
});

for (const argv of [['--help'], ['-h'], ['help']]) {
  test(`${argv[0]} lists the commands with their summaries and the exit codes, and loads none`, async () => {
    const { code, out, err, loaded } = await call(argv);
    assert.deepEqual([code, err, loaded], [0, '', []]);
    assert.match(out, /^ {2}greet {2}say hello$/m);
    assert.match(out, /^ {2}part {3}say goodbye$/m);
    assert.match(out, /Exit codes: 0 .*1 .*2 /);
  });
}

test('without a command the list goes to standard error, with exit code 2', async () => {
  const { code, out, err } = await call([]);
  assert.deepEqual([code, out], [2, '']);
  assert.match(err, /say hello/);
});

for (const flag of ['--help', '-h']) {
  test(`${flag} after a command prints its help and does not run it`, async () => {
    const { code, out, calls } = await call(['greet', flag]);
    assert.deepEqual([code, out, calls], [0, 'Usage: terminals greet [NAME…] [--loud]\n', []]);
  });
}

for (const flag of ['--version', '-V']) {
  test(`${flag} prints the version of the package`, async () => {
    const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8'));
    assert.deepEqual(await call([flag]), { code: 0, out: `${version}\n`, err: '', calls: [], loaded: [] });
  });
}

test('an unknown command is refused with what was meant, and nothing is loaded', async () => {
  const { code, out, err, loaded } = await call(['gret']);
  assert.deepEqual([code, out, loaded], [2, '', []]);
  assert.match(err, /^terminals: there is no command "gret"; did you mean "greet"\?\n/);
});

test('a name that every object has is no command', async () => {
  assert.equal((await call(['constructor'])).code, 2);
  assert.equal((await call(['__proto__'])).code, 2);
});

for (const words of [['--lout'], ['--loud=yes'], ['--name']]) {
  test(`${words.join(' ')} is refused in a sentence that points to the command's help`, async () => {
    const { code, err, calls } = await call(['greet', ...words]);
    assert.deepEqual([code, calls], [2, []]);
    assert.match(err, /^terminals: .*--(?:lout|loud|name)/);
    assert.match(err, /See "terminals greet --help"/);
    assert.doesNotMatch(err, /\n\s+at /);
  });
}

test('a usage error of a command is exit code 2', async () => {
  const { code, err } = await call(['greet'], throwing(new UsageError('--from needs --to')));
  assert.equal(code, 2);
  assert.match(err, /^terminals: --from needs --to\n/);
});

test('a known failure is said with what to do about it', async () => {
  const error = new EngineUnavailableError('Docker does not answer.', 'Start it.');
  assert.deepEqual(await call(['greet'], throwing(error)).then(({ code, err }) => [code, err]), [
    1,
    'terminals: Docker does not answer. Start it.\n',
  ]);
});

test('any other failure is one line without a stack', async () => {
  const { code, err } = await call(['greet'], throwing(new Error('it broke')));
  assert.deepEqual([code, err], [1, 'terminals: it broke\n']);
});

test('with TERMINALS_LOG_LEVEL=debug a failure has its stack', async () => {
  const { err } = await call(['greet'], {
    ...throwing(new Error('it broke')),
    env: { TERMINALS_LOG_LEVEL: 'debug' },
  });
  assert.match(err, /^terminals: it broke\n[\s\S]*at .*main\.test\.ts/);
});

test('a command that can not be loaded is a failure, and only its own', async () => {
  const { code, err } = await call(['part']);
  assert.deepEqual([code, err], [1, 'terminals: this one is broken\n']);
  assert.equal((await call(['greet'])).code, 0);
});

test('a mistyped option is guessed at', async () => {
  const { code, err, calls } = await call(['greet', '--lod']);
  assert.deepEqual([code, calls], [2, []]);
  assert.match(err, /^terminals: Unknown option '--lod'; did you mean "--loud"\?\n/);
  assert.match((await call(['greet', '--xyzzy=1'])).err, /^terminals: Unknown option '--xyzzy'\n/);
});

test('help of a command is its help', async () => {
  assert.deepEqual(await call(['help', 'greet']), await call(['greet', '--help']));
  assert.match((await call(['help', 'gret'])).err, /did you mean "greet"/);
  assert.match((await call(['help', 'help'])).out, /^Usage: terminals COMMAND/);
});
