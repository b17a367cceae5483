/**
 * What a pull request's policies would change on a running server: in the job's summary, and in one comment that later
 * pushes bring up to date. A step of action.yml; what it needs comes by the environment.
 * @module
 */
import { createHash } from 'node:crypto';
import { appendFileSync, readFileSync } from 'node:fs';
import { noPlan } from '../src/command/plan-markdown.ts';
import { annotation } from '../src/command/workflow-command.ts';
import { isMap, type JsonMap } from '../src/json.ts';
import { main } from '../src/main.ts';
import { GitHubError, writeComment } from './comment.ts';

const { env } = process;
const server = env.INPUT_SERVER ?? '';
const named = (env.INPUT_PATHS ?? '').split('\n').filter((line) => line !== '');
/** As `terminals validate` has it. */
const paths = named.length > 0 ? named : ['policies'];
const failOnChanges = env.INPUT_FAIL_ON_CHANGES === 'true';
const pull = pullRequest();

process.exitCode = await planned();

/** @returns the step's exit code */
async function planned(): Promise<number> {
  if (!env.TERMINALS_ADMIN_KEY) return withoutKey();
  const { code, markdown } = await plan(env.TERMINALS_ADMIN_KEY);
  const text = pull?.head ? `${markdown}\nOf commit ${pull.head}.\n` : markdown;
  if (env.GITHUB_STEP_SUMMARY) appendFileSync(env.GITHUB_STEP_SUMMARY, text);
  if (env.GITHUB_OUTPUT && code !== 1) appendFileSync(env.GITHUB_OUTPUT, `changes=${code === 2}\n`);
  const commented = pull === null ? true : await comment(pull, text);
  if (code === 1 || !commented) return 1;
  if (code === 2 && failOnChanges) {
    say(
      'error',
      'These policies change what runs, which fail-on-changes forbids; the summary of the job says what.',
    );
    return 1;
  }
  return 0;
}

/** Who comes from outside gets no secret, which is no fault of theirs. */
function withoutKey(): number {
  if (pull?.foreign) {
    say('notice', 'No plan: a pull request from a fork, or by Dependabot, gets no secrets.');
    return 0;
  }
  say('error', 'No plan: admin-key is empty. Is there a secret of the name that the workflow gives it?');
  return 1;
}

/** As `terminals plan` exits: 0 nothing changes, 1 it failed, 2 there are changes. */
async function plan(key: string): Promise<{ readonly code: number; readonly markdown: string }> {
  let [markdown, err] = ['', ''];
  const code = await main(['plan', `--server=${server}`, '--format', 'markdown', '--', ...paths], {
    out: (text) => {
      markdown += text;
    },
    err: (text) => {
      err += text;
    },
    env: { TERMINALS_ADMIN_KEY: key },
    cwd: process.cwd(),
    colour: false,
    signal: new AbortController().signal,
  });
  if (err !== '') say('error', err.trim());
  else if (code === 1) say('error', noPlan);
  // Why it failed may name the server, and everybody reads the comment.
  const failed = '### Terminals: plan\n\nThere is none: it failed, and the log of the job says why.\n';
  return { code, markdown: markdown || failed };
}

/** @returns whether it is there, or can't be for want of rights, when the summary has to do */
async function comment(pull: Pull, text: string): Promise<boolean> {
  const { GITHUB_API_URL: api = '', GITHUB_REPOSITORY: repository = '', GITHUB_TOKEN: token = '' } = env;
  // Of another server, or of other policies, there is another comment.
  const which = createHash('sha256')
    .update(JSON.stringify([server, paths]))
    .digest('hex')
    .slice(0, 16);
  try {
    const { number } = pull;
    await writeComment({ api, repository, number, token }, `<!-- terminals-plan ${which} -->`, text);
    return true;
  } catch (error) {
    if (!(error instanceof GitHubError)) throw error;
    const forbidden = [401, 403, 404].includes(error.status ?? 0);
    if (!forbidden) say('error', `The plan is in the job's summary only: ${error.message}`);
    else if (pull.foreign)
      say('notice', "The plan is in the job's summary only: this job may not write comments.");
    else {
      const right = 'the job needs "permissions: {pull-requests: write}"';
      say('warning', `The plan is in the job's summary only, since ${right} (${error.message}).`);
    }
    return forbidden;
  }
}

interface Pull {
  readonly number: number;
  /** The commit it asks to merge; empty: not said. */
  readonly head: string;
  /** From a fork, or by Dependabot. */
  readonly foreign: boolean;
}

/** The pull request that the job is about; null: it is about none. */
function pullRequest(): Pull | null {
  if (!env.GITHUB_EVENT_PATH) return null;
  const event: unknown = JSON.parse(readFileSync(env.GITHUB_EVENT_PATH, 'utf8'));
  const request = below(event, 'pull_request');
  const head = below(request, 'head');
  const { number } = request;
  if (typeof number !== 'number') return null;
  const from = below(head, 'repo').full_name;
  return {
    number,
    head: typeof head.sha === 'string' ? head.sha : '',
    foreign: from !== env.GITHUB_REPOSITORY || env.GITHUB_ACTOR === 'dependabot[bot]',
  };
}

function below(value: unknown, name: string): JsonMap {
  const inner = isMap(value) ? value[name] : null;
  return isMap(inner) ? inner : {};
}

function say(level: 'error' | 'warning' | 'notice', text: string): void {
  process.stdout.write(annotation(level, text));
}
