/**
 * Policies in a Git repository, as the configuration says it.
 * @module
 */
import { statSync } from 'node:fs';
import path from 'node:path';
import { type GitLocation, GitLocationError, parseGitLocation } from '../policy/git-url.ts';
import type { Secret } from './auth.ts';
import { type EnvironmentReader, reason, type Setting } from './reader.ts';
import { parseOptionalSecret } from './tokens.ts';
import { invalid, parseSeconds } from './values.ts';
import type { VariableName } from './variables.ts';

export interface PoliciesGit {
  readonly location: GitLocation;
  readonly intervalMs: number;
  /** Of its webhook; null: there is none. */
  readonly webhookSecret: Secret | null;
  /** Absolute paths; null: none. */
  readonly verifyFile: string | null;
  readonly sshKeyFile: string | null;
  readonly tokenFile: string | null;
}

type ReadSetting = <T>(name: VariableName, parse: (text: string) => T) => Setting<T>;

const variable = 'TERMINALS_POLICIES_GIT';

/** Reads the variables about policies in Git, and reports those that do not go together. */
export function readPoliciesGit(
  reader: EnvironmentReader,
  setting: ReadSetting,
  cwd: string,
): PoliciesGit | null {
  const git = setting(variable, parseLocation);
  const intervalMs = setting('TERMINALS_POLICIES_GIT_INTERVAL', parseSeconds).value * 1_000;
  const needed = <T>(name: VariableName, parse: (text: string) => T, show: (value: T) => string | null) => {
    const { value } = setting(name, parse);
    if (value !== null && git.value === null && !git.faulty) {
      const hint = `Set ${variable} to the address of the repository.`;
      reader.report({ variable: name, value: show(value), message: `it needs ${variable} as well.`, hint });
    }
    return value;
  };
  const file = (name: VariableName) =>
    needed(
      name,
      (text) => parseFile(text, cwd),
      (value) => value,
    );
  const webhookSecret = needed('TERMINALS_POLICIES_GIT_WEBHOOK_SECRET', parseOptionalSecret, () => null);
  const verifyFile = file('TERMINALS_POLICIES_GIT_VERIFY');
  const sshKeyFile = file('TERMINALS_POLICIES_GIT_SSH_KEY_FILE');
  const tokenFile = file('TERMINALS_POLICIES_GIT_TOKEN_FILE');
  const location = git.value;
  if (location === null) return null;
  const { protocol } = location;
  if (sshKeyFile !== null && protocol !== 'ssh') otherProtocol(reader, 'SSH_KEY_FILE', sshKeyFile, 'ssh');
  if (tokenFile !== null && protocol !== 'https' && protocol !== 'http') {
    otherProtocol(reader, 'TOKEN_FILE', tokenFile, 'https');
  }
  if (tokenFile !== null && protocol === 'http') {
    reader.warnings.push(`${variable} is http: the token can be read on its way.`);
  }
  return { location, intervalMs, webhookSecret, verifyFile, sshKeyFile, tokenFile };
}

function otherProtocol(
  reader: EnvironmentReader,
  name: 'SSH_KEY_FILE' | 'TOKEN_FILE',
  value: string,
  protocol: string,
): void {
  reader.report({
    variable: `${variable}_${name}`,
    value,
    message: `the repository's address is not one of ${protocol}.`,
    hint: `Write an address of ${protocol} into ${variable}, or unset this.`,
  });
}

function parseLocation(text: string): GitLocation | null {
  if (text === '') return null;
  try {
    return parseGitLocation(text);
  } catch (error) {
    if (!(error instanceof GitLocationError)) throw error;
    throw invalid(error.message, error.hint);
  }
}

function parseFile(text: string, cwd: string): string | null {
  if (text === '') return null;
  const file = path.resolve(cwd, text);
  const hint = 'Name a file that this process may read.';
  let about: ReturnType<typeof statSync>;
  try {
    about = statSync(file);
  } catch (error) {
    throw invalid(`the file can't be read (${reason(error)}).`, hint);
  }
  if (!about.isFile()) throw invalid('not a file.', hint);
  return file;
}
