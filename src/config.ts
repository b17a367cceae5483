/**
 * The environment → one frozen Config, or everything that is wrong with it at once.
 * @module
 */
import { statSync } from 'node:fs';
import path from 'node:path';
import { type Auth, checkAuth, Secret } from './config/auth.ts';
import { type Kubernetes, parsePoliciesConfigMap, readKubernetes } from './config/kubernetes.ts';
import { type PoliciesGit, readPoliciesGit } from './config/policies-git.ts';
import {
  type ConfigProblem,
  type Environment,
  EnvironmentReader,
  reason,
  type Setting,
} from './config/reader.ts';
import { readTokens, type Tokens } from './config/tokens.ts';
import * as read from './config/values.ts';
import { type VariableName, variables } from './config/variables.ts';
import { matches } from './policy/check.ts';
import { parseCpu, parseMemory } from './terminal/quantity.ts';
import type { Mount } from './terminal/terminal.ts';

export { type Auth, isLoopback, Secret } from './config/auth.ts';
export type { Kubernetes } from './config/kubernetes.ts';
export type { PoliciesGit } from './config/policies-git.ts';
export { type ConfigProblem, formatProblem } from './config/reader.ts';
export type { Tokens } from './config/tokens.ts';
export type { Backend, LogLevel } from './config/values.ts';
export { type VariableName, variables, variablesTable } from './config/variables.ts';

export interface Config {
  readonly backend: read.Backend;
  readonly auth: Auth;
  readonly tokens: Tokens;
  readonly unknownGroups: 'allow' | 'deny';
  /** Of the admin API; none: the shared keys. */
  readonly adminKeys: readonly Secret[];
  /** Where the admin keys are read from again when it changes; null: they were not in a file. */
  readonly adminKeyFile: string | null;
  readonly adminGroup: string | null;
  readonly policyWrites: boolean;
  /** A file's absolute path; null: no audit log. */
  readonly auditLog: { readonly file: string } | 'stdout' | null;
  readonly image: string;
  readonly imageIsSet: boolean;
  readonly host: string;
  readonly port: number;
  /** Processes that serve requests; 1: the one that manages the terminals does. */
  readonly workers: number;
  readonly networks: readonly string[];
  readonly publishHost: string;
  /** Absolute. */
  readonly dataDir: string;
  readonly idleTimeoutMinutes: number;
  readonly idleTimeoutIsSet: boolean;
  readonly maxCpuMillis: number | null;
  readonly maxMemoryBytes: number | null;
  /** What the host has room for. */
  readonly maxTerminals: number | null;
  readonly maxTotalMemoryBytes: number | null;
  /** Absolute; null: there is none, and the built-in policy is the only one. */
  readonly policiesDir: string | null;
  /** A ConfigMap's name or a label selector (with a `=`); goes before a directory of the environment. */
  readonly policiesConfigMap: string | null;
  /** A Git repository; goes before a directory of the environment. */
  readonly policiesGit: PoliciesGit | null;
  readonly kubernetes: Kubernetes;
  readonly allowedImages: readonly string[];
  readonly mounts: readonly Mount[];
  /** Absolute; null: there are no secrets in files. */
  readonly secretsDir: string | null;
  readonly logLevel: read.LogLevel;
}

export interface ConfigOptions {
  /** `serve --dev`: other defaults, and a key is made where none is set. */
  readonly dev: boolean;
  /** From flags; each comes before everything the environment says of that variable. */
  readonly overrides?: Readonly<Partial<Record<VariableName, string>>>;
  /** What relative paths count from. */
  readonly cwd?: string;
}

export type LoadedConfig =
  | { readonly ok: true; readonly config: Config; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

/** Defaults of `--dev` that are others. */
const devDefaults: Readonly<Partial<Record<VariableName, string>>> = {
  TERMINALS_BACKEND: 'auto',
  TERMINALS_HOST: '127.0.0.1',
};

const cpuHint = 'Write cores such as 2, 1.5 or 500m.';
const memoryHint = 'Write bytes such as 512Mi or 4Gi.';

/** Reads and checks every variable. */
export function loadConfig(env: Environment, options: ConfigOptions): LoadedConfig {
  const { dev, overrides = {}, cwd = process.cwd() } = options;
  const reader = new EnvironmentReader(env, overrides, cwd);
  const setting = <T>(name: VariableName, parse: (text: string) => T): Setting<T> =>
    reader.read(name, (dev ? devDefaults[name] : undefined) ?? defaultText(name), parse);

  const backend = setting('TERMINALS_BACKEND', read.parseBackend);
  const keys = setting('TERMINALS_API_KEY', read.parseKeyList);
  const mode = setting('TERMINALS_AUTH', read.parseAuthMode);
  const image = setting('TERMINALS_IMAGE', read.parseImage);
  const port = setting('TERMINALS_PORT', read.parsePort);
  const host = setting('TERMINALS_HOST', read.parseHost);
  const workers = setting('TERMINALS_WORKERS', read.parseWorkers);
  const networks = setting('TERMINALS_NETWORK', (text) => read.list(text).map(read.parseNetwork));
  const publishHost = setting('TERMINALS_DOCKER_HOST', read.parsePublishHost);
  const dataDir = setting('TERMINALS_DATA_DIR', (text) => path.resolve(cwd, text));
  const idle = setting('TERMINALS_IDLE_TIMEOUT_MINUTES', read.parseMinutes);
  const maxCpu = setting('TERMINALS_MAX_CPU', (text) =>
    read.parseQuantity(parseCpu, text, 'a CPU quantity above 0', cpuHint),
  );
  const parseBytes = (text: string) =>
    read.parseQuantity(parseMemory, text, 'a memory quantity above 0', memoryHint);
  const maxMemory = setting('TERMINALS_MAX_MEMORY', parseBytes);
  const maxTerminals = setting('TERMINALS_MAX_TERMINALS', read.parseCount);
  const maxTotalMemory = setting('TERMINALS_MAX_TOTAL_MEMORY', parseBytes);
  const policiesDir = setting('TERMINALS_POLICIES_DIR', (text) => path.resolve(cwd, text));
  const allowedImages = setting('TERMINALS_ALLOWED_IMAGES', (text) =>
    read.list(text).map(read.parseImagePattern),
  );
  const mounts = setting('TERMINALS_DOCKER_MOUNTS', read.parseMounts);
  const secretsDir = setting('TERMINALS_SECRETS_DIR', (text) =>
    text === '' ? null : path.resolve(cwd, text),
  );
  const configMap = setting('TERMINALS_POLICIES_CONFIGMAP', parsePoliciesConfigMap);
  const git = readPoliciesGit(reader, setting, cwd);
  // A directory that a flag names goes before everything the environment says.
  const byFlag = overrides.TERMINALS_POLICIES_DIR !== undefined;
  const policiesConfigMap = byFlag ? null : configMap.value;
  const policiesGit = byFlag ? null : git;
  const kubernetes = readKubernetes(setting, cwd);
  const tokens = readTokens(reader, setting);
  const unknownGroups = setting('TERMINALS_UNKNOWN_GROUPS', (text) =>
    read.oneOf(['allow', 'deny'] as const, text),
  );
  const adminKeys = setting('TERMINALS_ADMIN_KEY', read.parseKeyList);
  const adminGroup = setting('TERMINALS_ADMIN_GROUP', (text) => (text === '' ? null : text));
  const policyWrites = setting('TERMINALS_POLICY_WRITES', read.parseBoolean);
  const auditLog = setting('TERMINALS_AUDIT_LOG', (text) => parseAuditLog(text, cwd));
  const logLevel = setting('TERMINALS_LOG_LEVEL', (text) => read.oneOf(read.logLevels, text));

  const takesTokens = tokens.openWebUi !== null || tokens.oidc !== null;
  const auth = checkAuth(reader, { keys, mode, host, tokens: takesTokens, dev });
  checkDirectory(reader, 'TERMINALS_DATA_DIR', dataDir);
  checkSecretsDir(reader, secretsDir);
  const watched = policiesGit === null ? checkPoliciesDir(reader, policiesDir, dev) : null;
  if (policiesGit !== null && policiesConfigMap !== null) reportTwoSources(reader);
  if (!image.faulty && !allowedImages.faulty) warnOfOwnImage(reader, image.value, allowedImages.value);
  reader.warnOfUnknown();
  if (reader.problems.length > 0) return { ok: false, problems: reader.problems };
  const config: Config = {
    backend: backend.value,
    auth,
    tokens,
    unknownGroups: unknownGroups.value,
    adminKeys: adminKeys.value.map((key) => new Secret(key)),
    adminKeyFile: reader.fileOf('TERMINALS_ADMIN_KEY'),
    adminGroup: adminGroup.value,
    policyWrites: policyWrites.value,
    auditLog: auditLog.value,
    image: image.value,
    imageIsSet: image.isSet,
    host: host.value,
    port: port.value,
    workers: workers.value,
    networks: networks.value,
    publishHost: publishHost.value,
    dataDir: dataDir.value,
    idleTimeoutMinutes: idle.value,
    idleTimeoutIsSet: idle.isSet,
    maxCpuMillis: maxCpu.value,
    maxMemoryBytes: maxMemory.value,
    maxTerminals: maxTerminals.value,
    maxTotalMemoryBytes: maxTotalMemory.value,
    policiesDir: policiesConfigMap === null ? watched : null,
    policiesConfigMap,
    policiesGit,
    kubernetes,
    allowedImages: allowedImages.value,
    mounts: mounts.value,
    secretsDir: secretsDir.value,
    logLevel: logLevel.value,
  };
  return { ok: true, config: freeze(config), warnings: reader.warnings };
}

function reportTwoSources(reader: EnvironmentReader): void {
  const variable = 'TERMINALS_POLICIES_GIT';
  const message = 'TERMINALS_POLICIES_CONFIGMAP is set as well.';
  reader.report({ variable, value: null, message, hint: 'Keep one of the two.' });
}

function parseAuditLog(text: string, cwd: string): Config['auditLog'] {
  if (text === '') return null;
  return text === 'stdout' ? text : { file: path.resolve(cwd, text) };
}

/** The table words the default of the policies directory for readers. */
function defaultText(name: VariableName): string {
  if (name === 'TERMINALS_POLICIES_DIR') return 'policies';
  return variables.find((variable) => variable.name === name)?.default ?? '';
}

/** @returns whether the directory is there */
function checkDirectory(
  reader: EnvironmentReader,
  variable: VariableName,
  { value, faulty }: Setting<string>,
): boolean {
  if (faulty) return true;
  const problem = (message: string, hint: string) => reader.report({ variable, value, message, hint });
  try {
    const about = statSync(value, { throwIfNoEntry: false });
    if (about === undefined) return false;
    if (!about.isDirectory()) problem('not a directory.', 'Name a directory.');
  } catch (error) {
    problem(`it can't be looked at (${reason(error)}).`, 'Name a directory that this process may read.');
  }
  return true;
}

/** One that is not there yet may be mounted later; until then every policy that needs it says so. */
function checkSecretsDir(reader: EnvironmentReader, { value, ...setting }: Setting<string | null>): void {
  if (value === null || checkDirectory(reader, 'TERMINALS_SECRETS_DIR', { value, ...setting })) return;
  reader.warnings.push(`The secrets directory ${value} is not there (yet).`);
}

/** One that was asked for stays, there or not: its source goes on watching. */
function checkPoliciesDir(reader: EnvironmentReader, setting: Setting<string>, dev: boolean): string | null {
  if (checkDirectory(reader, 'TERMINALS_POLICIES_DIR', setting)) return setting.value;
  if (!setting.isSet && !dev) return null;
  reader.warnings.push(`The policies directory ${setting.value} is not there (yet); it is watched.`);
  return setting.value;
}

function warnOfOwnImage(reader: EnvironmentReader, image: string, allowed: readonly string[]): void {
  if (allowed.length === 0 || allowed.some((pattern) => matches(pattern, image))) return;
  reader.warnings.push(`TERMINALS_IMAGE ${image} is none of TERMINALS_ALLOWED_IMAGES.`);
}

function freeze(config: Config): Config {
  for (const list of [config.networks, config.allowedImages, config.mounts, ...config.mounts])
    Object.freeze(list);
  Object.freeze(config.auth);
  return Object.freeze(config);
}
