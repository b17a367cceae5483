import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { Secret } from '../src/config.ts';
import { UserMissingError } from '../src/errors.ts';
import { createLogger } from '../src/log.ts';

async function logged(
  write: (log: Awaited<ReturnType<typeof createLogger>>) => void,
  level: 'info' | 'silent' = 'info',
) {
  const lines: string[] = [];
  const destination = { write: (line: string) => void lines.push(line) };
  write(await createLogger({ level, pretty: false, destination }));
  return lines;
}

test('a line is JSON with level, ISO time, the fields and the message, and nothing of the machine', async () => {
  const [line = ''] = await logged((log) => log.info({ policy: 'default' }, 'made'));
  const { time, ...rest } = JSON.parse(line);
  assert.deepEqual(rest, { level: 'info', policy: 'default', msg: 'made' });
  assert.equal(new Date(time).toISOString(), time);
});

test('what is below the level is not written', async () => {
  assert.deepEqual(await logged((log) => log.debug('not this')), []);
  assert.deepEqual(await logged((log) => log.fatal('nor this'), 'silent'), []);
});

const hidden = 'hunter2';
const carriers: readonly (readonly [what: string, fields: object])[] = [
  ['a field', { apiKey: hidden, authorization: hidden, cookie: hidden, token: hidden }],
  ['an object in a field', { terminal: { apiKey: hidden, token: hidden } }],
  ['the headers of a request', { req: { headers: { authorization: `Bearer ${hidden}`, cookie: hidden } } }],
  [
    'an error',
    { err: Object.assign(new Error('failed'), { token: hidden, headers: { authorization: hidden } }) },
  ],
  ['a Secret', { anything: { at: { any: [{ depth: new Secret(hidden) }] } } }],
];
for (const [what, fields] of carriers) {
  test(`a secret in ${what} is not written`, async () => {
    const [line = ''] = await logged((log) => log.info(fields, 'said'));
    assert.match(line, /\[secret\]/);
    assert.doesNotMatch(line, /hunter2/);
  });
}

test('a secret bound to a child logger is not written', async () => {
  const [line = ''] = await logged((log) => log.child({ apiKey: hidden }).info('said'));
  assert.match(line, /\[secret\]/);
  assert.doesNotMatch(line, /hunter2/);
});

test('an error is written with its message, stack and cause', async () => {
  const cause = new Error('the reason');
  const [line = ''] = await logged((log) => log.error({ err: new Error('it failed', { cause }) }, 'said'));
  const { err } = JSON.parse(line);
  assert.match(err.message, /it failed: the reason/);
  assert.match(err.stack, /log\.test\.ts/);
});

test('an error says of which class it is, wherever it is', async () => {
  const range = new RangeError('out of it');
  const lines = await logged((log) => {
    log.error({ err: new UserMissingError() }, 'said');
    log.error({ last: range, err: new AggregateError([range]) }, 'said');
    log.error(range);
    log.child({ err: range }).error('said');
  });
  const [missing, aggregate, alone, bound] = lines.map((line) => JSON.parse(line));
  assert.equal(missing.err.type, 'UserMissingError');
  assert.equal(aggregate.last.type, 'RangeError');
  assert.equal(aggregate.err.type, 'AggregateError');
  assert.equal(aggregate.err.aggregateErrors[0].type, 'RangeError');
  assert.deepEqual([alone.err.type, alone.msg], ['RangeError', 'out of it']);
  assert.equal(bound.err.type, 'RangeError');
});

/** What a process that logs and ends at once has written. */
async function writtenBy(pretty: boolean): Promise<string> {
  const script = `
    import { createLogger } from ${JSON.stringify(new URL('../src/log.ts', import.meta.url).href)};
    const log = await createLogger({ level: 'info', pretty: ${pretty} });
    log.info({ policy: 'default', apiKey: '${hidden}' }, 'the last word');
    process.exit(0);`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    timeout: 30_000,
  });
  return stdout;
}

test('the last line before the end of the process is not lost', async () => {
  assert.equal(JSON.parse(await writtenBy(false)).msg, 'the last word');
});

test('pretty lines are for people, are not lost at the end either, and show no secret', async () => {
  const text = await writtenBy(true);
  assert.match(text, /INFO.*the last word/);
  assert.throws(() => JSON.parse(text));
  assert.doesNotMatch(text, /hunter2/);
});

const gone: readonly (readonly [what: string, command: string])[] = [
  ['a full disk', '"$0" --input-type=module -e "$1" > /dev/full'],
  ['a pipe that nobody reads', '{ "$0" --input-type=module -e "$1"; echo $? >&3; } 3>&2 | true'],
];
for (const [what, command] of gone) {
  test(`standard output that is ${what} costs the lines, not the process`, {
    skip: command.endsWith('/dev/full') && !existsSync('/dev/full'),
  }, async () => {
    const script = `
      import { createLogger } from ${JSON.stringify(new URL('../src/log.ts', import.meta.url).href)};
      const log = await createLogger({ level: 'info', pretty: false });
      for (let line = 0; line < 5; line += 1) {
        log.info('nobody sees it');
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      console.error('still there');`;
    const { stderr } = await promisify(execFile)('sh', ['-c', command, process.execPath, script], {
      timeout: 30_000,
    });
    assert.match(stderr, /^still there\n(0\n)?$/);
  });
}

test('lines of several processes on one pipe stay whole, however slowly it is read', async () => {
  const script = `
    import { createLogger } from ${JSON.stringify(new URL('../src/log.ts', import.meta.url).href)};
    const log = await createLogger({ level: 'info', pretty: false, shared: true });
    for (let turn = 0; turn < 20; turn += 1) {
      for (let line = 0; line < 50; line += 1) log.info({ turn, line, filling: 'ü'.repeat(line * 5) }, process.argv[1]);
      await new Promise((resolve) => setImmediate(resolve));
    }`;
  const command = `"$0" --input-type=module -e "$1" one & "$0" --input-type=module -e "$1" other & wait`;
  const { stdout } = await promisify(execFile)(
    'sh',
    ['-c', `(${command}) | (sleep 1; cat)`, process.execPath, script],
    { timeout: 30_000, maxBuffer: 16 * 1024 * 1024 },
  );
  const lines = stdout.trimEnd().split('\n');
  assert.equal(lines.length, 2_000);
  assert.deepEqual(new Set(lines.map((line) => JSON.parse(line).msg)), new Set(['one', 'other']));
});
