/** What commands that use the configuration have in common: its flags, and how its problems are said. @module */
import { type Config, formatProblem, loadConfig, type VariableName } from '../config.ts';
import { type Io, type OptionValues, UsageError } from './command.ts';

interface Flag {
  readonly variable: VariableName;
  readonly argument: string;
  readonly help: string;
}

const flags: Readonly<Record<string, Flag>> = {
  backend: {
    variable: 'TERMINALS_BACKEND',
    argument: 'NAME',
    help: 'docker, kubernetes-operator, process or auto',
  },
  host: { variable: 'TERMINALS_HOST', argument: 'ADDRESS', help: 'address to listen on' },
  port: { variable: 'TERMINALS_PORT', argument: 'PORT', help: 'port to listen on; 0: any free one' },
  policies: { variable: 'TERMINALS_POLICIES_DIR', argument: 'DIR', help: 'directory of policies' },
  'data-dir': { variable: 'TERMINALS_DATA_DIR', argument: 'DIR', help: "directory of the users' homes" },
};

type FlagName = 'backend' | 'host' | 'port' | 'policies' | 'data-dir';

function only(names: readonly FlagName[]) {
  return Object.fromEntries(names.map((name) => [name, { type: 'string' as const }]));
}

function help(names: readonly FlagName[]): string {
  const lines = names.map((name) => {
    const { argument, help: text, variable } = flags[name] ?? { argument: '', help: '', variable: '' };
    return `  ${`--${name} ${argument}`.padEnd(18)}${text} (${variable})`;
  });
  return `${lines.join('\n')}\n`;
}

const serveFlags: readonly FlagName[] = ['backend', 'host', 'port', 'policies', 'data-dir'];
const stateFlags: readonly FlagName[] = ['backend', 'policies', 'data-dir'];

/** Options of `serve`. */
export const configFlags = only(serveFlags);
export const configHelp = `${help(serveFlags)}  -h, --help        this text\n`;
/** Options of commands that look at the terminals, or act on them. */
export const stateOptions = only(stateFlags);
export const stateHelp = `${help(stateFlags)}  -h, --help        this text\n`;

/**
 * The configuration of the environment and the flags; warnings go to standard error.
 * @throws UsageError with every problem, a line each
 */
export function readConfig(values: OptionValues, io: Io, dev: boolean): Config {
  const overrides = Object.fromEntries(
    Object.entries(flags).flatMap(([name, { variable }]) => {
      const value = values[name];
      return typeof value === 'string' ? [[variable, value]] : [];
    }),
  );
  const loaded = loadConfig(io.env, { dev, overrides, cwd: io.cwd });
  if (!loaded.ok) {
    throw new UsageError(
      `the configuration is not valid:\n${loaded.problems.map((problem) => `  ${formatProblem(problem)}`).join('\n')}`,
    );
  }
  for (const warning of loaded.warnings) io.err(`warning: ${warning}\n`);
  return loaded.config;
}

/** Who is let in matters to none of the commands that do not listen; nothing is said about it, nor asked for. */
const notListening = {
  TERMINALS_HOST: '127.0.0.1',
  TERMINALS_AUTH: undefined,
  TERMINALS_API_KEY: 'not-used',
  TERMINALS_API_KEY_FILE: undefined,
};

/**
 * The configuration for commands that look at terminals and policies, or act on them.
 * @throws UsageError with every problem, a line each
 */
export function readStateConfig(values: OptionValues, io: Io): Config {
  return readConfig(values, { ...io, env: { ...io.env, ...notListening } }, false);
}
