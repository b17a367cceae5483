import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { main } from '../../src/main.ts';
import { adminKey, adminStack } from '../admin/admin.ts';
import { policyText } from '../policy/fixtures.ts';
import { until } from '../reconcile/harness.ts';
import { terminalsHere } from './cli.ts';

const files = { 'data.yaml': policyText('data', 'image: data:1') };
const env = { TERMINALS_ADMIN_KEY: adminKey };

test('of a running server it says how far each policy is', async (t) => {
  const { port, run, program } = await adminStack(t, { files });
  await run('alice', 'data');
  const { code, out, err } = await terminalsHere(['policies', '--server', `http://127.0.0.1:${port}`], {
    env,
  });
  assert.deepEqual([code, err], [0, '']);
  const [head = '', first = '', second = '', ...more] = out.trimEnd().split('\n');
  assert.deepEqual(head.split(/ +/).slice(0, 4), ['NAME', 'STATE', 'REASON', 'DESIRED']);
  const revision = program.policies.current.revision.slice(0, 12);
  assert.deepEqual(first.split(/ +/).slice(0, 9), [
    'data',
    'Ready',
    'UpToDate',
    '1',
    '1',
    '1',
    '0',
    '0',
    revision,
  ]);
  assert.match(first, /20\S+Z {2}1 of 1 terminal as declared$/);
  assert.equal(second.split(/ +/)[0], 'default');
  assert.deepEqual(more, []);
});

test('--json is what the server answers', async (t) => {
  const { port, call } = await adminStack(t, { files });
  const { code, out } = await terminalsHere(['policies', '--json', '--server', `http://127.0.0.1:${port}`], {
    env,
  });
  assert.equal(code, 0);
  assert.deepEqual(JSON.parse(out), (await call('GET', '/policies')).json);
});

/** `policies -w` until the test ends it. */
function watching(t: TestContext, port: number, live: boolean) {
  const ending = new AbortController();
  t.after(() => ending.abort());
  const texts = { out: '', err: '' };
  const ended = main(['policies', '-w', '--server', `http://127.0.0.1:${port}`], {
    out: (text) => {
      texts.out += text;
    },
    err: (text) => {
      texts.err += text;
    },
    env,
    cwd: '/',
    colour: false,
    live,
    signal: ending.signal,
  });
  return { texts, ended, end: () => ending.abort() };
}

test('-w adds only the lines that changed where it is no terminal, and ends with exit code 0', async (t) => {
  const { port, run } = await adminStack(t, { files });
  const { texts, ended, end } = watching(t, port, false);
  await until(() => texts.out.split('\n').length === 4, 'the table');
  await run('alice', 'data');
  await until(() => /1 of 1 terminal/.test(texts.out), 'the new line');
  end();
  assert.equal(await ended, 0);
  const names = texts.out
    .trimEnd()
    .split('\n')
    .map((line) => line.split(' ')[0]);
  assert.deepEqual(names, ['NAME', 'data', 'default', 'data']);
  assert.equal(texts.err, '');
});

test('-w draws over what it drew on a terminal, and leaves the cursor as it was', async (t) => {
  const { port, run } = await adminStack(t, { files });
  const { texts, ended, end } = watching(t, port, true);
  await until(() => texts.out.includes('default'), 'the table');
  await run('alice', 'data');
  await until(() => /1 of 1 terminal/.test(texts.out), 'the new table');
  end();
  assert.equal(await ended, 0);
  assert.ok(texts.out.startsWith('\u001b[?25l'));
  assert.ok(texts.out.endsWith('\u001b[?25h'));
  assert.ok(texts.out.includes('\u001b[3A\r\u001b[J'), 'three lines up, and clear from there');
});

test('-w goes on while the server is away', async (t) => {
  const { port, program } = await adminStack(t, { files });
  const { texts, ended, end } = watching(t, port, false);
  await until(() => texts.out.includes('default'), 'the table');
  await program.close();
  await until(() => /does not answer/.test(texts.out), 'that it is away');
  end();
  assert.equal(await ended, 0);
});
