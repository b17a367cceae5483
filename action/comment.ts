/** One comment of ours on a pull request, kept up to date, by GitHub's REST API. @module */

export interface PullRequest {
  /** `https://api.github.com`, or that of an own server. */
  readonly api: string;
  /** `owner/name`. */
  readonly repository: string;
  readonly number: number;
  /** The job's. */
  readonly token: string;
}

/** GitHub did not do it. @property status null: it did not answer */
export class GitHubError extends Error {
  override readonly name = 'GitHubError';
  readonly status: number | null;

  constructor(message: string, status: number | null) {
    super(message);
    this.status = status;
  }
}

interface Comment {
  readonly id: number;
  readonly body?: string | null;
  readonly user?: { readonly login: string } | null;
}

/** Whose comments are written with a job's token. What others write is not ours, whatever marker is in it. */
const ourselves = 'github-actions[bot]';
const perPage = 100;
const limitMs = 30_000;

/**
 * Writes our comment that begins with this marker, or makes it where there is none.
 * @throws GitHubError
 */
export async function writeComment(pull: PullRequest, marker: string, text: string): Promise<void> {
  const body = { body: `${marker}\n${text}` };
  const known = await findComment(pull, marker);
  if (known === null) await call(pull, 'POST', `issues/${pull.number}/comments`, body);
  else await call(pull, 'PATCH', `issues/comments/${known}`, body);
}

async function findComment(pull: PullRequest, marker: string): Promise<number | null> {
  for (let page = 1; ; page += 1) {
    const query = `issues/${pull.number}/comments?per_page=${perPage}&page=${page}`;
    const comments = (await call(pull, 'GET', query)) as readonly Comment[];
    const own = comments.find(({ user, body }) => user?.login === ourselves && body?.startsWith(marker));
    if (own !== undefined) return own.id;
    if (comments.length < perPage) return null;
  }
}

async function call({ api, repository, token }: PullRequest, method: string, path: string, body?: unknown) {
  const url = `${api}/repos/${repository}/${path}`;
  const what = `${method} ${url}`;
  try {
    const response = await fetch(url, {
      method,
      signal: AbortSignal.timeout(limitMs),
      headers: {
        accept: 'application/vnd.github+json',
        authorization: `Bearer ${token}`,
        'x-github-api-version': '2022-11-28',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer: unknown = await response.json();
    if (!response.ok)
      throw new GitHubError(`${what}: ${response.status} ${messageOf(answer)}`, response.status);
    return answer;
  } catch (error) {
    if (error instanceof GitHubError) throw error;
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    throw new GitHubError(`${what}: ${cause instanceof Error ? cause.message : cause}`, null);
  }
}

function messageOf(answer: unknown): string {
  return typeof answer === 'object' && answer !== null && 'message' in answer ? String(answer.message) : '';
}
