/** How git proves who asks, and who made a commit: with secrets from files, read anew each time, and never in an argument. @module */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { CommitRefusedError, codeOf, GitError, GitExitError, type GitRun, runGit } from './git-program.ts';
import type { GitLocation } from './git-url.ts';

/** Files with what only this process may know, or whom it trusts. */
export interface GitSecrets {
  readonly tokenFile: string | null;
  readonly sshKeyFile: string | null;
  /** Allowed signers as ssh-keygen(1) has them, or public keys of OpenPGP in armour; null: signatures are not looked at. */
  readonly verifyFile: string | null;
}

export type GitAccess = Pick<GitRun, 'config' | 'env' | 'protocol'> & { readonly url: string };

const verifyMs = 20_000;
const largestToken = 64 * 1024;
/** What any password will do for, at the usual servers. */
const usualUser = 'x-access-token';
/** In place of the program for signatures that do not count. */
const nobody = '/nonexistent';

/** What git needs to reach the repository. */
export async function gitAccess(
  { url, protocol }: GitLocation,
  { tokenFile, sshKeyFile }: GitSecrets,
  knownHosts: string,
): Promise<GitAccess> {
  if (protocol === 'ssh') {
    const command = await sshCommand(sshKeyFile, knownHosts);
    return { url, protocol, env: { GIT_SSH_COMMAND: command, GIT_SSH_VARIANT: 'ssh', ...agent(sshKeyFile) } };
  }
  if ((protocol !== 'https' && protocol !== 'http') || tokenFile === null) return { url, protocol };
  const parsed = new URL(url);
  const user = decodeURIComponent(parsed.username) || usualUser;
  parsed.username = '';
  const basic = Buffer.from(`${user}:${await readToken(tokenFile)}`).toString('base64');
  // By the environment, which only this user can see.
  return { url: parsed.href, protocol, config: { 'http.extraHeader': `Authorization: Basic ${basic}` } };
}

/** @throws GitError without its content */
async function readToken(file: string): Promise<string> {
  const token = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new GitError(`the token file ${file} can't be read (${codeOf(error)})`);
  });
  const text = token.trim();
  if (text === '' || text.length > largestToken || !/^[\x21-\x7e]+$/.test(text)) {
    throw new GitError(`the token file ${file} does not hold a token`);
  }
  return text;
}

async function sshCommand(keyFile: string | null, knownHosts: string): Promise<string> {
  // Beside the key, as Flux and others mount it; else the key of a host is taken at first sight, and held to it from then on.
  const beside = keyFile === null ? null : path.join(path.dirname(keyFile), 'known_hosts');
  const known = beside !== null && (await isFile(beside));
  const options = [
    'BatchMode=yes',
    'ConnectTimeout=10',
    `StrictHostKeyChecking=${known ? 'yes' : 'accept-new'}`,
    `UserKnownHostsFile=${known ? beside : knownHosts}`,
    ...(keyFile === null ? [] : ['IdentitiesOnly=yes']),
  ];
  const identity = keyFile === null ? [] : ['-i', keyFile];
  // Git hands this one to a shell.
  return ['ssh', '-F', 'none', ...identity, ...options.flatMap((option) => ['-o', option])]
    .map(quoted)
    .join(' ');
}

function agent(keyFile: string | null): Readonly<Record<string, string>> {
  const socket = process.env.SSH_AUTH_SOCK;
  return keyFile !== null || socket === undefined ? {} : { SSH_AUTH_SOCK: socket };
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/**
 * Checks that the commit is signed by somebody whom the file names, and by nobody whom only this machine knows.
 * @throws CommitRefusedError where it is not; GitError where that can't be told now
 */
export async function verifyCommit(
  gitDir: string,
  commit: string,
  file: string,
  signal?: AbortSignal,
): Promise<void> {
  const run = { timeoutMs: verifyMs, ...(signal ? { signal } : {}) };
  const args = ['--git-dir', gitDir, 'verify-commit', '--', commit];
  const ring = (await isOpenPgp(file)) ? await keyRing(file, path.dirname(gitDir)) : null;
  try {
    await runGit({
      ...run,
      args,
      env: { GNUPGHOME: ring ?? nobody },
      config: {
        'gpg.x509.program': nobody,
        ...(ring === null
          ? { 'gpg.ssh.allowedSignersFile': file, 'gpg.program': nobody }
          : { 'gpg.ssh.program': nobody }),
      },
    });
  } catch (error) {
    if (!isVerdict(error)) throw error;
    throw new CommitRefusedError(
      `the commit ${commit.slice(0, 12)} is not signed by one of those in ${file}`,
    );
  } finally {
    if (ring !== null) await rm(ring, { recursive: true, force: true });
  }
}

/** Whether git looked at the signature, or could do so with the programs that count. */
function isVerdict(error: unknown): boolean {
  if (!(error instanceof GitExitError)) return false;
  const failed = /^cannot (?:run|fork|exec)\b|\bdied of signal\b|\bOut of memory\b/.test(error.message);
  return !failed || error.message.startsWith(`cannot run ${nobody}`);
}

async function isOpenPgp(file: string): Promise<boolean> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    throw new GitError(`the signers ${file} can't be read (${codeOf(error)})`);
  });
  return text.includes('-----BEGIN PGP PUBLIC KEY BLOCK-----');
}

/** A ring of nothing but these keys. */
async function keyRing(file: string, directory: string): Promise<string> {
  const ring = await mkdtemp(path.join(directory, 'keys-'));
  const args = ['--homedir', ring, '--batch', '--quiet', '--no-autostart', '--import', file];
  const env = { PATH: process.env.PATH, LC_ALL: 'C' };
  await promisify(execFile)('gpg', args, { timeout: verifyMs, env }).catch(async (error: unknown) => {
    await rm(ring, { recursive: true, force: true });
    throw new GitError(
      codeOf(error) === 'ENOENT'
        ? 'the gpg program is not installed'
        : `the signers ${file} can't be imported`,
    );
  });
  return ring;
}

async function isFile(file: string): Promise<boolean> {
  return stat(file).then(
    (about) => about.isFile(),
    () => false,
  );
}
