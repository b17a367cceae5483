/**
 * The environment → one frozen Config, or everything that is wrong with it at once.
 * @module
 */
import { randomBytes } from 'node:crypto';
import { statSync } from 'node:fs';
import { BlockList, isIP } from 'node:net';
import path from 'node:path';
import { inspect } from 'node:util';
import { type ConfigProblem, EnvironmentReader, type Setting } from './config-reader.ts';
import type { Backend, LogLevel } from './config-values.ts';
import { type VariableName, variableNames } from './config-variables.ts';
import { matches } from './policy/check.ts';
import type { Mount } from './terminal/terminal.ts';

export { type ConfigProblem, formatProblem } from './config-reader.ts';
export { type VariableName, variables, variablesTable } from './config-variables.ts';
