/** The plan of a pull request: from a running server, by the step of action.yml, to a stand-in for GitHub's API. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { adminKey, adminStack } from '../admin/admin.ts';
import { directoryOf, type Ended } from '../command/cli.ts';
import { policyText } from '../policy/fixtures.ts';
import { jobToken, runStep } from './steps.ts';

const data = policyText('data', 'image: data:1', 'env: {TOKEN: hunter2}', 'idleTimeoutMinutes: 0');
const next = data.replace('data:1', 'data:2').replace('hunter2', 'hunter3');
const bot = 'github-actions[bot]';

interface Comment {
  readonly id: number;
  body: string;
  readonly user: { readonly login: string };
}

/** As much of GitHub's API as comments on pull request 7 need. */
class GitHub {
  url = '';
  readonly comments: Comment[] = [];
  readonly requests: string[] = [];
  /** Answers instead, where it gives a status. */
  refuse: (request: IncomingMessage) => number | null = () => null;
  #next = 1000;

  add(login: string, body: string): Comment {
    this.#next += 1;
    const comment = { id: this.#next, body, user: { login } };
    this.comments.push(comment);
    return comment;
  }

  by(login: string): readonly string[] {
    return this.comments.filter(({ user }) => user.login === login).map(({ body }) => body);
  }

  async answer(request: IncomingMessage): Promise<{ status: number; answer: unknown }> {
    const url = new URL(request.url ?? '', this.url);
    this.requests.push(`${request.method} ${url.pathname}`);
    const refused = this.refuse(request);
    if (refused !== null)
      return { status: refused, answer: { message: 'Resource not accessible by integration' } };
    if (request.headers.authorization !== `Bearer ${jobToken}`)
      return { status: 401, answer: { message: 'Bad credentials' } };
    const { body } = request.method === 'GET' ? { body: '' } : JSON.parse(await textOf(request));
    const own = /^\/repos\/team\/environments\/issues\/comments\/(\d+)$/.exec(url.pathname)?.[1];
    if (own !== undefined && request.method === 'PATCH') {
      const comment = this.comments.find(({ id }) => id === Number(own));
      if (comment === undefined) return { status: 404, answer: { message: 'Not Found' } };
      comment.body = body;
      return { status: 200, answer: comment };
    }
    if (url.pathname !== '/repos/team/environments/issues/7/comments')
      return { status: 404, answer: { message: 'Not Found' } };
    if (request.method === 'POST') return { status: 201, answer: this.add(bot, body) };
    const [size, page] = [Number(url.searchParams.get('per_page')), Number(url.searchParams.get('page'))];
    return { status: 200, answer: this.comments.slice((page - 1) * size, page * size) };
  }
}

async function gitHubFor(t: TestContext): Promise<GitHub> {
  const gitHub = new GitHub();
  const server = createServer(async (request, response) => {
    const { status, answer } = await gitHub.answer(request);
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
  });
  t.after(() => server.close().closeAllConnections());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  gitHub.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return gitHub;
}

interface Planned extends Ended {
  readonly summary: string;
  readonly outputs: string;
}

/** A server with one terminal, and a pull request whose policies can be planned there. */
async function pullRequest(t: TestContext) {
  const { port, run } = await adminStack(t, { files: { 'data.yaml': data } });
  await run('alice', 'data');
  const gitHub = await gitHubFor(t);
  const server = `http://127.0.0.1:${port}`;
  const push = async (
    policies: string,
    inputs: Readonly<Record<string, string>> = {},
    { from = 'team/environments', event = 'pull_request', env = {} } = {},
  ): Promise<Planned> => {
    const request = { number: 7, head: { sha: 'c0ffee0', repo: { full_name: from } } };
    const folder = directoryOf({
      'event.json': JSON.stringify(event === 'pull_request' ? { [event]: request } : { ref: 'main' }),
      summary: '',
      output: '',
    });
    const file = (name: string) => path.join(folder, name);
    const all = { server, 'admin-key': adminKey, ...inputs };
    const ended = await runStep(
      'Plan',
      all,
      { 'policies/data.yaml': policies },
      {
        GITHUB_API_URL: gitHub.url,
        GITHUB_REPOSITORY: 'team/environments',
        GITHUB_EVENT_PATH: file('event.json'),
        GITHUB_STEP_SUMMARY: file('summary'),
        GITHUB_OUTPUT: file('output'),
        ...env,
      },
    );
    const read = (name: string) => readFileSync(file(name), 'utf8');
    const planned = { ...ended, summary: read('summary'), outputs: read('output') };
    for (const secret of [adminKey, jobToken, 'hunter'])
      assert.ok(!JSON.stringify([planned, gitHub.comments]).includes(secret), `${secret} is said`);
    return planned;
  };
  return { gitHub, server, push };
}

test('a plan is one comment, which later pushes bring up to date, among however many', async (t) => {
  const { gitHub, push } = await pullRequest(t);
  for (let count = 0; count < 230; count += 1) gitHub.add('alice', `comment ${count}`);
  const first = await push(next);
  assert.deepEqual([first.code, first.outputs, first.err], [0, 'changes=true\n', '']);
  const [comment = '', ...others] = gitHub.by(bot);
  assert.deepEqual(others, []);
  assert.match(comment, /^<!-- terminals-plan [0-9a-f]{16} -->\n### Terminals: plan\n/);
  assert.match(comment, /`image`: `data:1` → `data:2`/);
  assert.match(comment, /\nOf commit c0ffee0\.\n$/);
  assert.ok(comment.endsWith(first.summary), 'the summary says the same');

  for (let count = 0; count < 100; count += 1) gitHub.add('bob', `later ${count}`);
  const second = await push(data);
  assert.deepEqual([second.code, second.outputs], [0, 'changes=false\n']);
  assert.equal(gitHub.by(bot).length, 1);
  assert.match(gitHub.by(bot)[0] ?? '', /1 terminal, 0 to change\.\n/);
  assert.equal(gitHub.by('alice').length + gitHub.by('bob').length, 330);
});

test('another server or other policies have a comment of their own', async (t) => {
  const { gitHub, server, push } = await pullRequest(t);
  await push(next);
  await push(next, { paths: 'policies/data.yaml\n' });
  await push(next, { server: `${server}/` });
  await push(next);
  assert.equal(gitHub.by(bot).length, 3);
});

test('a comment of somebody else is left as it is, though it begins like ours', async (t) => {
  const { gitHub, push } = await pullRequest(t);
  await push(next);
  const { body } = gitHub.comments[0] ?? assert.fail();
  gitHub.comments.length = 0;
  gitHub.add('mallory', body);
  await push(data);
  assert.deepEqual(gitHub.by('mallory'), [body]);
  assert.equal(gitHub.by(bot).length, 1);
});

test('changes fail the job only where fail-on-changes says so', async (t) => {
  const { gitHub, push } = await pullRequest(t);
  const { code, out } = await push(next, { 'fail-on-changes': 'true' });
  assert.equal(code, 1);
  assert.match(out, /^::error::These policies change what runs/);
  assert.equal(gitHub.by(bot).length, 1, 'and are commented all the same');
  assert.equal((await push(data, { 'fail-on-changes': 'true' })).code, 0);
});

test('policies with errors fail the job, and the comment says so in place of an older plan', async (t) => {
  const { gitHub, push } = await pullRequest(t);
  await push(next);
  const { code, outputs } = await push(data.replace('data:1', 'A B'));
  assert.deepEqual([code, outputs], [1, '']);
  const [comment = '', ...others] = gitHub.by(bot);
  assert.deepEqual(others, []);
  assert.match(comment, /\*\*Problems\*\*\n\n- `policies\/data\.yaml:6:10: error: spec\.image: /);
});

test('a server that refuses or is not there fails the job, and the comment does not name it', async (t) => {
  const { gitHub, push } = await pullRequest(t);
  for (const [inputs, words] of [
    [{ 'admin-key': 'the-wrong-key' }, /^::error::terminals: .*key/],
    [{ server: 'http://127.0.0.1:1' }, /^::error::terminals: http:\/\/127\.0\.0\.1:1\/ does not answer/],
    [{ paths: 'missing' }, /^::error::terminals: missing can't be read: it does not exist/],
  ] as const) {
    const { code, out } = await push(next, inputs);
    assert.equal(code, 1);
    assert.match(out, words);
  }
  const comments = gitHub.by(bot);
  assert.equal(comments.length, 3, 'of two servers, and of other policies');
  for (const comment of comments) {
    assert.match(comment, /There is none: it failed, and the log of the job says why\./);
    assert.doesNotMatch(comment, /127\.0\.0\.1/);
  }
});

test('a pull request from a fork has no key, and no plan', async (t) => {
  const { gitHub, push } = await pullRequest(t);
  const fork = await push(next, { 'admin-key': '' }, { from: 'mallory/environments' });
  assert.deepEqual([fork.code, fork.summary, gitHub.requests], [0, '', []]);
  assert.match(fork.out, /^::notice::No plan: a pull request from a fork/);
  const robot = await push(next, { 'admin-key': '' }, { env: { GITHUB_ACTOR: 'dependabot[bot]' } });
  assert.equal(robot.code, 0);
  const forgotten = await push(next, { 'admin-key': '' });
  assert.equal(forgotten.code, 1);
  assert.match(forgotten.out, /^::error::No plan: admin-key is empty/);
});

test('where the token may not write, the summary has the plan', async (t) => {
  const { gitHub, push } = await pullRequest(t);
  gitHub.refuse = ({ method }) => (method === 'POST' ? 403 : null);
  const own = await push(next);
  assert.equal(own.code, 0);
  assert.match(
    own.out,
    /^::warning::.*summary only.*permissions: \{pull-requests: write\}.*403 Resource not/,
  );
  assert.match(own.summary, /^### Terminals: plan/);
  const fork = await push(next, {}, { from: 'mallory/environments' });
  assert.equal(fork.code, 0);
  assert.match(fork.out, /^::notice::.*summary only/);
  assert.deepEqual(gitHub.comments, []);
});

test('where GitHub fails, the job does: the comment of an earlier push would stand as if it were of this one', async (t) => {
  const { gitHub, push } = await pullRequest(t);
  gitHub.refuse = () => 502;
  const { code, out, summary } = await push(next);
  assert.equal(code, 1);
  assert.match(out, /^::error::The plan is in the job's summary only: GET .*502/);
  assert.match(summary, /^### Terminals: plan/);
  const unreachable = await push(next, {}, { env: { GITHUB_API_URL: 'http://127.0.0.1:1' } });
  assert.equal(unreachable.code, 1);
});

test('a push to a branch has the summary alone', async (t) => {
  const { gitHub, push } = await pullRequest(t);
  const { code, summary } = await push(next, {}, { event: 'push' });
  assert.equal(code, 0);
  assert.match(summary, /1 policy to change/);
  assert.deepEqual(gitHub.requests, []);
});

test('inputs with words of the shell are words', async (t) => {
  const { push } = await pullRequest(t);
  const made = path.join(os.tmpdir(), `terminals-evil-${randomUUID()}`);
  const evil = `$(touch ${made}); \`touch ${made}\` "' --format text`;
  const { code, out } = await push(next, { paths: evil });
  assert.equal(code, 1);
  assert.ok(out.includes("--format text can't be read"), out);
  assert.ok(!existsSync(made));
});
