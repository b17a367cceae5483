/**
 * The command line: finds the command, reads its options, turns what it throws into one line and an exit code.
 * @module
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { closest } from './closest.ts';
import { type Command, type Io, UsageError } from './command/command.ts';
import { TerminalsError } from './errors.ts';

/** Commands by name, each loaded only when it is called. */
export type Commands = Readonly<
  Record<string, { readonly summary: string; readonly load: () => Promise<Command> }>
>;

const commands: Commands = {
  serve: {
    summary: 'run the controller and the proxy',
    load: async () => (await import('./command/serve.ts')).serve,
  },
  operator: {
    summary: 'run the operator of Terminal resources (Kubernetes)',
    load: async () => (await import('./command/operator.ts')).operator,
  },
  validate: {
    summary: 'check policy files and say every problem with its place',
    load: async () => (await import('./command/validate.ts')).validate,
  },
  plan: {
    summary: 'say what would change, per policy and per terminal, with reasons',
    load: async () => (await import('./command/plan.ts')).plan,
  },
  policies: {
    summary: 'list the policies',
    load: async () => (await import('./command/policies.ts')).policies,
  },
  reconcile: {
    summary: 'have a running server read its policies and look at every terminal at once',
    load: async () => (await import('./command/reconcile.ts')).reconcile,
  },
  retry: {
    summary: "begin the rollout of a policy's newest revision anew",
    load: async () => (await import('./command/retry.ts')).retry,
  },
  explain: {
    summary: 'say which policy somebody gets, step by step',
    load: async () => (await import('./command/explain.ts')).explain,
  },
  list: { summary: 'list the terminals', load: async () => (await import('./command/list.ts')).list },
  stop: {
    summary: 'stop terminals; their homes stay',
    load: async () => (await import('./command/stop.ts')).stop,
  },
  delete: {
    summary: 'delete terminals, with their homes',
    load: async () => (await import('./command/delete.ts')).remove,
  },
  schema: {
    summary: 'print the JSON Schema of a policy',
    load: async () => (await import('./command/schema.ts')).schema,
  },
};

/** The version of this package. */
export function version(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return String(JSON.parse(text).version);
}

/** @returns the exit code: 0 done, 1 it failed, 2 the call's words are off. */
export async function main(argv: readonly string[], io: Io, registry: Commands = commands): Promise<number> {
  const [name, ...rest] = argv;
  const [about] = rest;
  if (name === 'help' && about !== undefined && about !== 'help')
    return main([about, '--help'], io, registry);
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    (name === undefined ? io.err : io.out)(overview(registry));
    return name === undefined ? 2 : 0;
  }
  if (name === '--version' || name === '-V') {
    io.out(`${version()}\n`);
    return 0;
  }
  const entry = Object.hasOwn(registry, name) ? registry[name] : undefined;
  if (entry === undefined) return report(new UsageError(unknownCommand(name, Object.keys(registry))), '', io);
  let command: Command | undefined;
  try {
    command = await entry.load();
    return await runCommand(command, rest, io);
  } catch (error) {
    return report(error, name, io, command?.usageExitCode);
  }
}

async function runCommand(command: Command, args: readonly string[], io: Io): Promise<number> {
  const { values, positionals } = parse(command, args);
  if (values.help) {
    io.out(command.help);
    return 0;
  }
  const [word] = positionals;
  if (word !== undefined && command.words !== true)
    throw new UsageError(`${command.name} takes only options, and "${word}" is none`);
  return command.run(values, positionals, io);
}

function parse(command: Command, args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: { ...command.options, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
      strict: true,
    });
  } catch (error) {
    // node:util says in the first sentence what is wrong, and then how to escape it.
    const [sentence = ''] = error instanceof Error ? error.message.split('. ') : [String(error)];
    throw new UsageError(`${sentence}${nearOption(sentence, [...Object.keys(command.options), 'help'])}`);
  }
}

/** "; did you mean …?" where an option is not known and one of another name is near. */
function nearOption(sentence: string, known: readonly string[]): string {
  const wrong = /^Unknown option '--([^'=]+)/.exec(sentence)?.[1];
  const near = wrong === undefined ? null : closest(wrong, known);
  return near === null ? '' : `; did you mean "--${near}"?`;
}

function report(error: unknown, name: string, io: Io, usageExitCode = 2): number {
  if (error instanceof UsageError) {
    io.err(`terminals: ${error.message}\nSee "terminals ${name === '' ? '' : `${name} `}--help".\n`);
    return usageExitCode;
  }
  if (error instanceof TerminalsError) io.err(`terminals: ${error.message} ${error.hint}\n`);
  else io.err(`terminals: ${error instanceof Error ? error.message : error}\n`);
  if (io.env.TERMINALS_LOG_LEVEL === 'debug' && error instanceof Error) io.err(`${error.stack}\n`);
  return 1;
}

function unknownCommand(name: string, known: readonly string[]): string {
  const near = closest(name, known);
  return `there is no command "${name}"${near === null ? '' : `; did you mean "${near}"?`}`;
}

function overview(registry: Commands): string {
  const width = Math.max(...Object.keys(registry).map((name) => name.length));
  const lines = Object.entries(registry).map(([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`);
  return `Usage: terminals COMMAND [OPTIONS]

Gives every Open WebUI user their own Open Terminal, as policies in Git declare it.

Commands:
${lines.join('\n')}

Options:
  -h, --help      this text; "terminals COMMAND --help" for one command
  -V, --version   the version

Exit codes: 0 done, 1 it failed, 2 the call's words are off; some commands add to these.
`;
}
