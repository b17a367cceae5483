/** Real Git repositories, and a real server of them by http. */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { after } from 'node:test';
import { promisify } from 'node:util';
import { GitSource, type GitSourceOptions } from '../../src/policy/git.ts';
import { parseGitLocation } from '../../src/policy/git-url.ts';
import type { SourceFile } from '../../src/policy/policy.ts';
import { temporaryDirectory } from './fixtures.ts';

const execute = promisify(execFile);
const identity = ['-c', 'user.name=A', '-c', 'user.email=a@example.org', '-c', 'commit.gpgsign=false'];
const env = { PATH: process.env.PATH, HOME: '/nonexistent', GIT_CONFIG_NOSYSTEM: '1', LC_ALL: 'C' };

/** A repository with a work tree. */
export class Repository {
  readonly root: string;
  readonly url: string;

  constructor(root = path.join(temporaryDirectory(), 'policies.git')) {
    this.root = root;
    this.url = `file://${root}`;
    mkdirSync(root);
    this.git('init', '--quiet', '--initial-branch=main');
  }

  git(...args: readonly string[]): string {
    return execFileSync('git', [...identity, ...args], {
      cwd: this.root,
      env,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    }).trim();
  }

  /** Writes files (null: takes one away) and commits all of it; more arguments go to git commit. */
  commit(files: Readonly<Record<string, string | Buffer | null>>, ...args: readonly string[]): string {
    for (const [name, text] of Object.entries(files)) {
      const file = path.join(this.root, name);
      if (text === null) rmSync(file);
      else {
        mkdirSync(path.dirname(file), { recursive: true });
        writeFileSync(file, text);
      }
    }
    this.git('add', '--all');
    this.git(...args, 'commit', '--quiet', '--allow-empty', '--message', 'change');
    return this.head;
  }

  get head(): string {
    return this.git('rev-parse', 'HEAD');
  }
}

/** A new key of ssh, and how git signs with it. */
export function sshKey(): { readonly line: string; readonly sign: readonly string[] } {
  const file = path.join(temporaryDirectory(), 'key');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', '', '-f', file]);
  return {
    line: `a@example.org namespaces="git" ${readFileSync(`${file}.pub`, 'utf8')}`,
    sign: ['-c', 'gpg.format=ssh', '-c', `user.signingKey=${file}`, '-c', 'commit.gpgsign=true'],
  };
}

/** A file that says who may sign. */
export function signersFile(text: string): string {
  const file = path.join(temporaryDirectory(), 'signers');
  writeFileSync(file, text);
  return file;
}

/** A source of a location, with a directory of its own unless one is given. */
export function sourceOf(location: string, options: Partial<GitSourceOptions> = {}): GitSource {
  return new GitSource({
    location: parseGitLocation(location),
    directory: path.join(temporaryDirectory(), 'policies-git'),
    intervalMs: 0,
    tokenFile: null,
    sshKeyFile: null,
    verifyFile: null,
    ...options,
  });
}

/** Path → text, or why there is none. */
export async function told(source: GitSource): Promise<Readonly<Record<string, string>>> {
  const files = await source.read();
  if ('unavailable' in files) return { unavailable: files.unavailable };
  const word = (file: SourceFile) => ('text' in file ? file.text : `unreadable: ${file.unreadable}`);
  return Object.fromEntries(files.map((file) => [file.path, word(file)]));
}

/** A server of the repositories in a folder. */
export interface GitServer {
  readonly url: string;
  /** What it does to requests: answers them, asks for this Authorization, ends them, or lets them wait. */
  behaviour: { readonly authorization: string } | 'serve' | 'broken' | 'hang' | 'redirect';
  readonly requests: readonly IncomingMessage[];
}

export async function serveGit(folder: string): Promise<GitServer> {
  const requests: IncomingMessage[] = [];
  const server = createServer((request, response) => {
    requests.push(request);
    const { behaviour } = made;
    if (behaviour === 'hang') return;
    if (behaviour === 'broken') return void request.socket.destroy();
    if (behaviour === 'redirect') {
      return void response.writeHead(302, { location: `${made.url}/else${request.url}` }).end();
    }
    if (behaviour !== 'serve' && request.headers.authorization !== behaviour.authorization) {
      return void response.writeHead(401, { 'www-authenticate': 'Basic realm="git"' }).end();
    }
    backend(folder, request, response);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  after(() => {
    server.close();
    server.closeAllConnections();
  });
  const made: GitServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    behaviour: 'serve',
    requests,
  };
  return made;
}

/** git http-backend as a CGI program. */
function backend(folder: string, request: IncomingMessage, response: ServerResponse): void {
  const { pathname, search } = new URL(request.url ?? '/', 'http://localhost');
  const header = (name: string) => String(request.headers[name] ?? '');
  const child = spawn('git', ['http-backend'], {
    env: {
      ...env,
      GIT_PROJECT_ROOT: folder,
      GIT_HTTP_EXPORT_ALL: '1',
      PATH_INFO: pathname,
      QUERY_STRING: search.slice(1),
      REQUEST_METHOD: request.method,
      CONTENT_TYPE: header('content-type'),
      HTTP_CONTENT_ENCODING: header('content-encoding'),
      GIT_PROTOCOL: header('git-protocol'),
    },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  child.stdin.on('error', () => undefined);
  request.pipe(child.stdin);
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.on('close', () => {
    const output = Buffer.concat(chunks);
    const end = output.indexOf('\r\n\r\n');
    const headers = output
      .toString('latin1', 0, end)
      .split('\r\n')
      .map((line) => line.split(': ') as [string, string]);
    const status = headers.find(([name]) => name === 'Status')?.[1];
    for (const [name, value] of headers) if (name !== 'Status') response.setHeader(name, value);
    response.writeHead(Number.parseInt(status ?? '200', 10)).end(output.subarray(end + 4));
  });
}

/** Whether a program is there; the reason to skip where it is not. */
export async function without(program: string, ...args: readonly string[]): Promise<string | false> {
  return execute(program, [...args]).then(
    () => false,
    (error: unknown) =>
      error instanceof Error && 'code' in error && error.code === 'ENOENT' ? `no ${program}` : false,
  );
}
