/** `terminals validate`: every problem of policy files, before they are in force. @module */

import { InvalidValue, list, parseImage, parseImagePattern } from '../config/values.ts';
import type { VariableName } from '../config.ts';
import { builtinPolicy } from '../policy/builtin.ts';
import { readPaths } from '../policy/directory.ts';
import type { Problem } from '../policy/policy.ts';
import { buildPolicySet } from '../policy/policy-set.ts';
import { problemText } from '../policy/store.ts';
import { parseCpu, parseMemory } from '../terminal/quantity.ts';
import { type Command, type Io, UsageError } from './command.ts';
import { annotation } from './workflow-command.ts';

const formats = ['text', 'json', 'github'] as const;
type Format = (typeof formats)[number];

export const validate: Command = {
  name: 'validate',
  summary: 'check policy files and say every problem with its place',
  help: `Usage: terminals validate [PATH…] [--format text|json|github]

Checks policy files and directories (default: TERMINALS_POLICIES_DIR, or ./policies) and says every problem with
file:line:column. TERMINALS_IMAGE, TERMINALS_MAX_CPU, TERMINALS_MAX_MEMORY and TERMINALS_ALLOWED_IMAGES are honoured.

Options:
  --format FORMAT   text (default), json, or github (annotations of a GitHub workflow)
  -h, --help        this text

Exit codes: 0 no errors (there may be warnings), 1 errors, 2 the call's words are off.
`,
  words: true,
  options: { format: { type: 'string' } },
  async run(values, positionals, io) {
    const format = parseFormat(values.format);
    const paths = positionals.length > 0 ? positionals : [io.env.TERMINALS_POLICIES_DIR || 'policies'];
    const image = variable(io, 'TERMINALS_IMAGE', parseImage);
    const set = buildPolicySet(await readPaths(paths, io.cwd), null, {
      defaults: image === null ? {} : { image },
      builtin: builtinPolicy({}),
      maxCpuMillis: variable(io, 'TERMINALS_MAX_CPU', parseCpu),
      maxMemoryBytes: variable(io, 'TERMINALS_MAX_MEMORY', parseMemory),
      allowedImages:
        variable(io, 'TERMINALS_ALLOWED_IMAGES', (text) => list(text).map(parseImagePattern)) ?? [],
      mode: 'validate',
    });
    const declared = [...set.policies.values()].filter(({ declaredAt }) => declaredAt.file !== '(built-in)');
    print(format, set.problems, declared.length, io);
    return set.problems.some(({ severity }) => severity === 'error') ? 1 : 0;
  },
};

function parseFormat(value: unknown): Format {
  const format = formats.find((known) => known === (value ?? 'text'));
  if (!format) throw new UsageError(`--format takes ${formats.join(', ')}, not "${value}"`);
  return format;
}

/** What a variable says, or null where it is not set. @throws UsageError */
function variable<T>(io: Io, name: VariableName, parse: (text: string) => T): T | null {
  const value = io.env[name]?.trim();
  if (!value) return null;
  try {
    return parse(value);
  } catch (error) {
    const hint = error instanceof InvalidValue ? error.faults.map((fault) => ` ${fault.hint}`).join('') : '';
    throw new UsageError(`${name}: ${error instanceof Error ? error.message : error}${hint}`);
  }
}

function print(format: Format, problems: readonly Problem[], policies: number, io: Io): void {
  if (format === 'json') {
    io.out(`${JSON.stringify({ policies, problems }, null, 2)}\n`);
    return;
  }
  for (const problem of problems)
    io.out(format === 'github' ? annotated(problem) : `${coloured(problem, io)}\n`);
  const errors = problems.filter(({ severity }) => severity === 'error').length;
  const warnings = problems.length - errors;
  io.err(
    `${count(policies, 'valid policy', 'valid policies')}, ${count(errors, 'error')}, ${count(warnings, 'warning')}\n`,
  );
}

function count(number: number, one: string, many = `${one}s`): string {
  return `${number} ${number === 1 ? one : many}`;
}

function coloured(problem: Problem, io: Io): string {
  const text = problemText(problem);
  if (!io.colour) return text;
  const colour = problem.severity === 'error' ? 31 : 33;
  return text.replace(` ${problem.severity}: `, ` \u001b[${colour}m${problem.severity}\u001b[0m: `);
}

/** As an annotation of a GitHub workflow. */
function annotated(problem: Problem): string {
  const { severity, path, message, hint } = problem;
  const text = `${path === '' ? '' : `${path}: `}${message}${hint === '' ? '' : ` (${hint})`}`;
  return annotation(severity, text, problem);
}
