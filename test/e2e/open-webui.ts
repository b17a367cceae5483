/** The real Open WebUI as a process of its own: the program that TERMINALS_TEST_OPEN_WEBUI names. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import net from 'node:net';
import path from 'node:path';
import { environment, waitFor } from './program.ts';

/** What Open WebUI signs its users' tokens with. */
export const secretKey = 'the-secret-key-of-open-webui';
const password = 'Passw0rd!of-the-test';
/** Its first start makes its database. */
const startMs = 300_000;

export interface Account {
  readonly id: string;
  readonly token: string;
}

export interface Answer {
  readonly status: number;
  readonly text: string;
}

/** One user's calls, with the token of their session. */
export class Caller {
  readonly id: string;
  readonly token: string;
  readonly #url: string;

  constructor(url: string, { id, token }: Account) {
    this.#url = url;
    this.id = id;
    this.token = token;
  }

  async call(method: string, target: string, body?: unknown): Promise<Answer> {
    const response = await fetch(`${this.#url}/api/v1${target}`, {
      method,
      headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, text: await response.text() };
  }

  /** As `call`, where anything but success is a failure of the test. */
  async ask<T>(method: string, target: string, body?: unknown): Promise<T> {
    const { status, text } = await this.call(method, target, body);
    assert.equal(status, 200, `${method} ${target}: ${text}`);
    return JSON.parse(text) as T;
  }

  /** Runs a shell command by one of its terminal connections, and gives what it printed. */
  async execute(connection: string, command: string): Promise<string> {
    const target = `/terminals/${connection}/execute?wait=20`;
    const { output } = await this.ask<{ output: { data: string }[] }>('POST', target, { command });
    return output
      .map(({ data }) => data)
      .join('')
      .replaceAll('\r\n', '\n')
      .trim();
  }
}

export interface OpenWebUi {
  readonly url: string;
  /** Whoever signs up first. */
  readonly admin: Caller;
  /** Makes a user without any right of an administrator. */
  user(name: string): Promise<Caller>;
  stop(): Promise<void>;
}

/** It takes no port 0. */
async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  assert.ok(typeof address === 'object' && address !== null);
  return address.port;
}

/** Starts it with an empty database and without models. @param folder is there, and ends with the test */
async function start(program: string, folder: string): Promise<{ url: string; child: ChildProcess }> {
  const env = environment({
    DATA_DIR: folder,
    WEBUI_SECRET_KEY: secretKey,
    // Nothing is fetched, and nobody is told.
    OFFLINE_MODE: 'true',
    HF_HUB_OFFLINE: '1',
    RAG_EMBEDDING_ENGINE: 'openai',
    ENABLE_OLLAMA_API: 'false',
    ENABLE_OPENAI_API: 'false',
    ANONYMIZED_TELEMETRY: 'false',
    DO_NOT_TRACK: 'true',
  });
  const port = await freePort();
  const args = ['serve', '--host', '127.0.0.1', '--port', String(port)];
  const child = spawn(program, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let log = '';
  const heard = (chunk: Buffer) => {
    log = (log + chunk).slice(-10_000);
  };
  child.stdout.on('data', heard);
  child.stderr.on('data', heard);
  const url = `http://127.0.0.1:${port}`;
  const answers = () =>
    fetch(`${url}/health`).then(
      ({ ok }) => ok,
      () => false,
    );
  try {
    await waitFor(answers, startMs, () => {
      assert.equal(child.exitCode, null, `${path.basename(program)} ended:\n${log}`);
      return log;
    });
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  return { url, child };
}

/** As `start`, on another port where somebody took the first meanwhile; then its administrator signs up. */
export async function openWebUi(program: string, folder: string): Promise<OpenWebUi> {
  const { url, child } = await start(program, folder).catch((error: unknown) => {
    if (!/address already in use/.test(String(error))) throw error;
    return start(program, folder);
  });
  const account = async (target: string, name: string, by?: Caller): Promise<Account> => {
    const body = { name, email: `${name}@example.org`, password, role: 'user' };
    const nobody = new Caller(url, { id: '', token: '' });
    await (by ?? nobody).ask('POST', target, body);
    return nobody.ask<Account>('POST', '/auths/signin', body);
  };
  const admin = new Caller(url, await account('/auths/signup', 'admin'));
  return {
    url,
    admin,
    user: async (name) => new Caller(url, await account('/auths/add', name, admin)),
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
    },
  };
}
