/**
 * Reads variables out of an environment and keeps account of everything that is wrong with them.
 * @module
 */
import { readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { closest } from '../closest.ts';
import { InvalidValue } from './values.ts';
import { type Variable, type VariableName, variables } from './variables.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** One thing that is wrong with the configuration, and what to write instead. */
export interface ConfigProblem {
  readonly variable: string;
  /** As it was set; null for a secret, and where nothing was set. */
  readonly value: string | null;
  readonly message: string;
  readonly hint: string;
}

/** A problem in one line. */
export function formatProblem({ variable, value, message, hint }: ConfigProblem): string {
  return `${variable}${value === null ? '' : `=${shown(value)}`}: ${message} ${hint}`;
}

/** A variable as it was found. */
export interface Setting<T> {
  readonly value: T;
  /** False: the value is the default. */
  readonly isSet: boolean;
  /** There is a problem with it already; the value stands in so that the others can be read. */
  readonly faulty: boolean;
}

interface Found {
  /** The name it was set by: its own, an alias, or the one with `_FILE`. */
  readonly variable: string;
  readonly text: string;
}

const prefix = 'TERMINALS_';
/** Of the tests and tools beside the program, which read the same environment. */
const testPrefix = 'TERMINALS_TEST_';
const longestShown = 120;
const largestSecretFile = 64 * 1024;
/** What Kubernetes sets in every pod beside a Service whose name starts with `terminals`. */
const serviceLink = /^TERMINALS_(?:\w+_)?(?:SERVICE_(?:HOST|PORT)\w*|PORT_\d+_(?:TCP|UDP|SCTP)\w*)$/;
const serviceLinkValue = /^(?:tcp|udp|sctp):\/\//;

export class EnvironmentReader {
  readonly problems: ConfigProblem[] = [];
  readonly warnings: string[] = [];
  readonly #env: Environment;
  readonly #overrides: Environment;
  readonly #cwd: string;

  /** @param overrides by variable name; each comes before everything the environment says of that variable */
  constructor(env: Environment, overrides: Environment, cwd: string) {
    this.#env = env;
    this.#overrides = overrides;
    this.#cwd = cwd;
  }

  /** The value of a variable; with a problem, what its default gives. */
  read<T>(name: VariableName, fallback: string, parse: (text: string) => T): Setting<T> {
    const problemsBefore = this.problems.length;
    const variable: Variable | undefined = variables.find((known) => known.name === name);
    const secret = variable?.secret === true;
    const found = this.#override(name) ?? this.#find(name, variable?.aliases ?? [], secret);
    try {
      const value = parse(found?.text ?? fallback);
      return { value, isSet: found !== null, faulty: this.problems.length > problemsBefore };
    } catch (error) {
      if (!(error instanceof InvalidValue)) throw error;
      const value = secret ? null : (found?.text ?? fallback);
      for (const fault of error.faults) this.report({ variable: found?.variable ?? name, value, ...fault });
      return { value: parse(fallback), isSet: found !== null, faulty: true };
    }
  }

  /** The absolute path of the file that a secret was read from; null: it was not. */
  fileOf(name: VariableName): string | null {
    const file = (this.#env[`${name}_FILE`] ?? '').trim();
    return file === '' || this.#overrides[name] !== undefined ? null : path.resolve(this.#cwd, file);
  }

  report(problem: ConfigProblem): void {
    this.problems.push(problem);
  }

  /** Warns of TERMINALS_* variables that nothing reads. Their values are not shown: one may be a mistyped secret. */
  warnOfUnknown(): void {
    const known = variables.flatMap(({ name, aliases = [], secret }: Variable) => [
      name,
      ...aliases,
      ...(secret ? [`${name}_FILE`] : []),
    ]);
    for (const [name, value = ''] of Object.entries(this.#env)) {
      if (!name.startsWith(prefix) || name.startsWith(testPrefix)) continue;
      if (known.includes(name) || isServiceLink(name, value)) continue;
      const near = closestName(name, known);
      this.warnings.push(`${name} is not a known variable.${near === null ? '' : ` Did you mean ${near}?`}`);
    }
  }

  #override(name: VariableName): Found | null {
    const text = this.#overrides[name];
    return text === undefined ? null : { variable: name, text: text.trim() };
  }

  #find(name: VariableName, aliases: readonly string[], secret: boolean): Found | null {
    const set = [name, ...aliases].flatMap((variable) => this.#plain(variable, secret) ?? []);
    const [first, ...others] = secret ? [...set, ...this.#fromFile(name, set.length > 0)] : set;
    for (const other of others.filter(({ text }) => text !== first?.text)) {
      this.report({
        variable: other.variable,
        value: other.text,
        message: `it says something else than ${first?.variable}, of which it is another name.`,
        hint: 'Keep one of the two.',
      });
    }
    return first ?? null;
  }

  /** What the environment says, without the space around it; a variable that is set to nothing is not set. */
  #plain(variable: string, secret: boolean): Found | null {
    const raw = this.#env[variable] ?? '';
    const text = raw.trim();
    if (raw === '') return null;
    if (variable === 'TERMINALS_PORT' && serviceLinkValue.test(text) && this.#env.TERMINALS_SERVICE_HOST) {
      this.warnings.push(
        'TERMINALS_PORT was set by Kubernetes for the Service "terminals" and is not read. Set enableServiceLinks: false.',
      );
      return null;
    }
    if (text === '' && secret) {
      // Taken for "not set", it would let everybody in.
      this.report({
        variable,
        value: null,
        message: 'it holds nothing but space.',
        hint: 'Write the secret, or unset it.',
      });
    } else if (text !== raw) {
      this.warnings.push(`${variable} has space around its value, which is left out.`);
    }
    return text === '' ? null : { variable, text };
  }

  #fromFile(name: VariableName, setDirectly: boolean): Found[] {
    const variable = `${name}_FILE`;
    const file = (this.#env[variable] ?? '').trim();
    if (file === '') return [];
    const fault = (message: string, hint: string): Found[] => {
      this.report({ variable, value: file, message, hint });
      return [];
    };
    if (setDirectly) return fault(`${name} is set as well.`, 'Keep one of the two.');
    try {
      const about = statSync(path.resolve(this.#cwd, file));
      if (!about.isFile()) return fault('not a file.', 'Name the file that holds the secret.');
      if (about.size > largestSecretFile)
        return fault('too large for a secret.', 'Name the file that holds the secret alone.');
      const text = readFileSync(path.resolve(this.#cwd, file), 'utf8').trim();
      return text === '' ? fault('the file is empty.', 'Write the secret into it.') : [{ variable, text }];
    } catch (error) {
      return fault(`the file can't be read (${reason(error)}).`, 'Name a file that this process may read.');
    }
  }
}

/** The beginning that all share says nothing about nearness. */
function closestName(name: string, known: readonly string[]): string | null {
  const near = closest(
    name.slice(prefix.length),
    known.map((one) => one.slice(prefix.length)),
  );
  return near === null ? null : `${prefix}${near}`;
}

/** The code of a file system's error. */
export function reason(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

function isServiceLink(name: string, value: string): boolean {
  return serviceLink.test(name) || (name.endsWith('_PORT') && serviceLinkValue.test(value));
}

/** A value quoted for one line, without the password a URL may hold. */
function shown(value: string): string {
  const quoted = JSON.stringify(value.replace(/\/\/[^/@\s]*@/g, '//…@'));
  return quoted.length > longestShown ? `${quoted.slice(0, longestShown)}…"` : quoted;
}
