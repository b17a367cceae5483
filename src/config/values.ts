/**
 * How the text of a variable is read: strictly, and with a word on what to write instead.
 *
 * Every reader gets text without space around it, and an empty one only where the variable's default is empty.
 * @module
 */
import { isIP } from 'node:net';
import { availableParallelism } from 'node:os';
import { closest } from '../closest.ts';
import { asymmetricAlgorithms } from '../identity/algorithms.ts';
import { parseKeys } from '../identity/keys.ts';
import { isImageReference } from '../policy/check.ts';
import { mountTargetProblem, plainPath } from '../policy/mount-target.ts';
import type { Mount } from '../terminal/terminal.ts';

/** One thing wrong with a value, and what to write instead. Neither quotes the value. */
export interface Fault {
  readonly message: string;
  readonly hint: string;
}

/** A value that can't be read, with everything that is wrong with it. */
export class InvalidValue extends Error {
  override readonly name = 'InvalidValue';
  readonly faults: readonly Fault[];

  constructor(faults: readonly Fault[]) {
    super(faults.map(({ message }) => message).join('; '));
    this.faults = faults;
  }
}

/** One fault. */
export function invalid(message: string, hint: string): InvalidValue {
  return new InvalidValue([{ message, hint }]);
}

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;
export type LogLevel = (typeof logLevels)[number];

const backends = ['docker', 'kubernetes-operator', 'process', 'auto'] as const;
/** What TERMINALS_BACKEND can say; `auto` becomes Docker or processes at the start. */
export type Backend = (typeof backends)[number];

const authModes = ['key', 'open'] as const;
export type AuthMode = (typeof authModes)[number];

const longestIdleMinutes = 525_600;
const longestSeconds = 86_400;
const mostTerminals = 100_000;

/** One of a few words. */
export function oneOf<Word extends string>(words: readonly Word[], text: string): Word {
  const found = words.find((word) => word === text);
  if (found !== undefined) return found;
  const near = closest(text, words);
  throw invalid(
    'not known.',
    `${near === null ? '' : `Did you mean ${near}? `}Write one of ${words.join(', ')}.`,
  );
}

export function parseBackend(text: string): Backend {
  return oneOf(backends, text);
}

export function parseAuthMode(text: string): AuthMode {
  return oneOf(authModes, text);
}

/** A secret in one piece, such as a key that travels in a header: visible characters only. */
export function parseSecret(text: string): string {
  if (!/^[\x21-\x7e]*$/.test(text)) {
    throw invalid(
      "the key has characters that a header can't carry.",
      'Use letters, digits and punctuation of ASCII, without spaces, e.g. the output of: openssl rand -hex 32',
    );
  }
  return text;
}

/** Keys by comma or line. */
export function parseKeyList(text: string): readonly string[] {
  return parseKeys(text).map(parseSecret);
}

export function parseImage(text: string): string {
  if (isImageReference(text)) return text;
  throw invalid('not an image reference.', 'Write registry/name:tag or registry/name@sha256:…');
}

export function parseImagePattern(text: string): string {
  if (/^[\w./:@*-]+$/.test(text)) return text;
  throw invalid(
    'not a list of image patterns.',
    'Write e.g. ghcr.io/open-webui/*,registry.example.com/team/*:1.*',
  );
}

const mostWorkers = 128;

/** As many as there are cores that this process may use, by its cgroup as well, or a number; 0 says the same as 1. */
export function parseWorkers(text: string): number {
  if (text === 'auto') return availableParallelism();
  const workers = Number(text);
  if (/^\d+$/.test(text) && workers <= mostWorkers) return Math.max(workers, 1);
  throw invalid('not a number of workers.', `Write auto, or a number up to ${mostWorkers}.`);
}

export function parsePort(text: string): number {
  const port = Number(text);
  if (/^\d{1,5}$/.test(text) && port <= 65_535) return port;
  throw invalid('not a port.', 'Write a whole number from 0 (any free port) to 65535, e.g. 3000.');
}

/** A name whose last label is a number would be read as an address by some, so it has to be a whole one. */
const hostName =
  /^(?=.{1,253}$)(?:[a-z\d_](?:[a-z\d_-]{0,61}[a-z\d])?\.)*(?!\d+$)[a-z\d_](?:[a-z\d_-]{0,61}[a-z\d])?$/i;

export function parseHost(text: string): string {
  if (isIP(text) !== 0 || hostName.test(text)) return text;
  throw invalid(
    'neither an address nor a host name.',
    'Write e.g. 127.0.0.1, 0.0.0.0 or ::1, without scheme, brackets or port.',
  );
}

export function parsePublishHost(text: string): string {
  if (isIP(text) !== 0) return text;
  throw invalid(
    'not an IP address.',
    'Write the address that ports are published on, e.g. 127.0.0.1. Where the Docker engine answers is said by DOCKER_HOST.',
  );
}

export function parseNetwork(text: string): string {
  if (text === 'host' || text === 'none') {
    throw invalid(
      `the network ${text} can't keep terminals apart and reachable.`,
      'Write the name of a network of your own.',
    );
  }
  if (/^[a-zA-Z0-9][\w.-]*$/.test(text)) return text;
  throw invalid('not a list of network names.', 'Write e.g. terminals or terminals,open-webui.');
}

export function parseMinutes(text: string): number {
  const minutes = Number(text);
  if (/^\d+(?:\.\d+)?$/.test(text) && minutes <= longestIdleMinutes) return minutes;
  throw invalid(
    'not a number of minutes.',
    `Write a number from 0 (never) to ${longestIdleMinutes}, e.g. 30.`,
  );
}

/** How many there may be; none: no bound. */
export function parseCount(text: string): number | null {
  if (text === '') return null;
  const count = Number(text);
  if (/^\d{1,6}$/.test(text) && count >= 1 && count <= mostTerminals) return count;
  throw invalid('not a number of terminals.', `Write a whole number from 1 to ${mostTerminals}, e.g. 20.`);
}

/** A Kubernetes quantity; none: no bound. */
export function parseQuantity(
  parse: (text: string) => number,
  text: string,
  what: string,
  hint: string,
): number | null {
  if (text === '') return null;
  try {
    return parse(text);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    throw invalid(`not ${what}.`, hint);
  }
}

/** An address of a server, without a slash at its end; none: null. */
export function parseUrl(text: string): string | null {
  if (text === '') return null;
  const url = URL.parse(text);
  const plain =
    url !== null && url.search === '' && url.hash === '' && url.username === '' && url.password === '';
  if (plain && (url.protocol === 'http:' || url.protocol === 'https:')) return text.replace(/\/+$/, '');
  throw invalid(
    'not the address of a server.',
    'Write e.g. https://chat.example.com, without query, fragment or password.',
  );
}

export function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (/^\d+(?:\.\d+)?$/.test(text) && seconds <= longestSeconds) return seconds;
  throw invalid('not a number of seconds.', `Write a number from 0 to ${longestSeconds}, e.g. 60.`);
}

export function parseBoolean(text: string): boolean {
  return oneOf(['true', 'false'], text) === 'true';
}

/** Signature algorithms; none: those that the verifier takes by itself. */
export function parseAlgorithms(text: string): readonly string[] | null {
  const names = list(text);
  for (const name of names) {
    if (asymmetricAlgorithms.includes(name)) continue;
    throw invalid(
      `${name} is not an algorithm with a public key.`,
      `Write some of ${asymmetricAlgorithms.join(', ')}.`,
    );
  }
  return names.length === 0 ? null : names;
}

/** What stands between commas, once each. */
export function list(text: string): readonly string[] {
  const entries = text.split(',').map((entry) => entry.trim());
  return [...new Set(entries.filter((entry) => entry !== ''))];
}

const mountHint = 'Write e.g. [{"source": "/srv/datasets", "target": "/mnt/datasets", "readOnly": true}]';
const mountFields = ['source', 'target', 'readOnly'];

export function parseMounts(text: string): readonly Mount[] {
  if (text === '') return [];
  const entries = parseJson(text);
  if (!Array.isArray(entries)) throw invalid('not a JSON list.', mountHint);
  const faults: Fault[] = [];
  const mounts = entries.flatMap((entry: unknown, index) => parseMount(entry, `[${index}]`, faults) ?? []);
  mounts.forEach(({ target }, index) => {
    const first = mounts.findIndex((other) => other.target === target);
    if (first < index)
      faults.push({ message: `${target} is mounted twice.`, hint: 'Give each mount a target of its own.' });
  });
  if (faults.length > 0) throw new InvalidValue(faults);
  return mounts;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid('not JSON.', mountHint);
  }
}

function parseMount(entry: unknown, at: string, faults: Fault[]): Mount | null {
  const before = faults.length;
  const fault = (message: string, hint = mountHint) => faults.push({ message: `${at}${message}`, hint });
  if (typeof entry !== 'object' || entry === null || Array.isArray(entry)) {
    fault(' is not an object.');
    return null;
  }
  const { source, target, readOnly = true, ...others }: Record<string, unknown> = { ...entry };
  for (const other of Object.keys(others)) {
    const near = closest(other, mountFields);
    fault(
      `.${other} is not known.`,
      near === null ? `Write ${mountFields.join(', ')}.` : `Did you mean ${near}?`,
    );
  }
  if (!isAbsolute(source)) fault('.source is not an absolute path.');
  if (!isAbsolute(target)) fault('.target is not an absolute path.');
  if (typeof readOnly !== 'boolean') fault('.readOnly is neither true nor false.');
  const wrong = typeof target === 'string' ? mountTargetProblem(target) : null;
  if (isAbsolute(target) && wrong !== null)
    fault(`.target: ${wrong}.`, 'Write a path such as /mnt/datasets.');
  if (faults.length > before || !isAbsolute(source) || !isAbsolute(target)) return null;
  return { source: plainPath(source), target: plainPath(target), readOnly: readOnly === true };
}

function isAbsolute(path: unknown): path is string {
  return (
    typeof path === 'string' &&
    path.startsWith('/') &&
    !path.includes('\0') &&
    !path.split('/').includes('..')
  );
}
