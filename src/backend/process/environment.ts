/**
 * Which variables of this process go on to its children: few, by name, and never our own.
 * @module
 */
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';

export type Variables = Readonly<Record<string, string | undefined>>;

/** Locale, time zone, proxies, certificates: what a program needs to work on this machine at all. */
const passedOn = new Set([
  'LANG',
  'LANGUAGE',
  'TZ',
  ...['http_proxy', 'https_proxy', 'all_proxy', 'no_proxy'].flatMap((name) => [name, name.toUpperCase()]),
  'SSL_CERT_FILE',
  'SSL_CERT_DIR',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
  'NODE_EXTRA_CA_CERTS',
  'GIT_SSL_CAINFO',
  'PIP_CERT',
]);
const passedOnPrefixes = ['LC_', 'PIP_', 'UV_'];
/** These would send what is installed elsewhere than where it belongs. */
const misleading =
  /^(?:PYTHON|TERMINALS_|VIRTUAL_ENV$|CONDA_PREFIX$|__PYVENV|PIP_(?:TARGET|PREFIX|ROOT|USER|PYTHON|SRC|REQUIRE_VIRTUALENV|CONFIG_SETTINGS)$|UV_(?:PYTHON|TARGET|PREFIX|PROJECT_ENVIRONMENT|SYSTEM_PYTHON)$)/;
/** A user name or a password in an address. */
const credentials = /:\/\/[^/\s]*@/;
const systemPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** For installing Open Terminal: all that we have, so that pip and uv work as they do for whoever started us. */
export function installerEnvironment(environment: Variables): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value !== undefined && !misleading.test(name)) kept[name] = value;
  }
  return { ...kept, PATH: environment.PATH ?? systemPath };
}

export interface TerminalVariables {
  /** Of this process. */
  readonly environment: Variables;
  /** Of the policy. */
  readonly policy: Readonly<Record<string, string>>;
  readonly home: string;
  readonly account: string;
  /** Folders that come first in its search path. */
  readonly first: readonly string[];
  /** It runs as another user than we do, who can't enter every folder that we can. */
  readonly separate: boolean;
}

/** For a terminal: the allow list, the policy's variables, and where its home is. */
export function terminalEnvironment(of: TerminalVariables): Record<string, string> {
  const kept: Record<string, string> = { LANG: 'C.UTF-8' };
  for (const [name, value] of Object.entries(of.environment)) {
    if (value !== undefined && isPassedOn(name, value)) kept[name] = value;
  }
  const { OPEN_TERMINAL_API_KEY: _key, OPEN_TERMINAL_API_KEY_FILE: _file, ...policy } = of.policy;
  return {
    ...kept,
    PATH: [...of.first, ...searchPath(of.environment.PATH ?? systemPath, of.separate)].join(path.delimiter),
    SHELL: existsSync('/bin/bash') ? '/bin/bash' : '/bin/sh',
    ...policy,
    HOME: of.home,
    USER: of.account,
    LOGNAME: of.account,
    XDG_CONFIG_HOME: path.join(of.home, '.config'),
    XDG_DATA_HOME: path.join(of.home, '.local/share'),
    XDG_STATE_HOME: path.join(of.home, '.local/state'),
    XDG_CACHE_HOME: path.join(of.home, '.cache'),
  };
}

function isPassedOn(name: string, value: string): boolean {
  if (passedOn.has(name)) return true;
  // An index with a password in its address is for who started us, not for the users of the terminals.
  return (
    passedOnPrefixes.some((prefix) => name.startsWith(prefix)) &&
    !misleading.test(name) &&
    !credentials.test(value)
  );
}

/** Without the folders of our own program, and those that the terminal's user can't enter. */
function searchPath(ours: string, separate: boolean): readonly string[] {
  const folders = ours.split(path.delimiter).filter((folder) => path.isAbsolute(folder));
  const useful = folders.filter((folder) => !folder.split(path.sep).includes('node_modules'));
  return [...new Set(separate ? useful.filter((folder) => firstClosed(folder) === null) : useful)];
}

/** The topmost folder on the way to this one (itself included) that other users can't pass; null: all are open. */
export function firstClosed(folder: string): string | null {
  const { root } = path.parse(folder);
  const names = folder.slice(root.length).split(path.sep);
  for (let depth = 0; depth <= names.length; depth += 1) {
    const one = path.join(root, ...names.slice(0, depth));
    try {
      if ((statSync(one).mode & 0o001) === 0) return one;
    } catch {
      return one;
    }
  }
  return null;
}
