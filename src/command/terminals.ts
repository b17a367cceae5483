/** What `list`, `stop`, `delete` and `plan` have in common: the backend, asked directly, and which terminals are meant. @module */

import type { Backend } from '../backend/backend.ts';
import { chooseBackend } from '../backend/choose.ts';
import type { Config } from '../config.ts';
import { createLogger } from '../log.ts';
import { discoveryUser } from '../terminal/names.ts';
import type { Actual } from '../terminal/terminal.ts';
import { type Io, type OptionValues, UsageError } from './command.ts';
import { readStateConfig } from './configuration.ts';

export const selectionOptions = {
  user: { type: 'string' },
  policy: { type: 'string' },
  all: { type: 'boolean' },
} as const;

export const selectionHelp = `  --user ID         those of this user
  --policy NAME     those of this policy
  --all             all of them
`;

/**
 * Calls back with the configuration and its backend, which needs no running server: what there is to know about terminals
 * is with the engine. What of that is another's is said on standard error.
 */
export async function withBackend<T>(
  values: OptionValues,
  io: Io,
  use: (backend: Backend, config: Config) => Promise<T>,
): Promise<T> {
  const config = readStateConfig(values, io);
  const log = await createLogger({ level: 'silent', pretty: false });
  const backend = await chooseBackend(config, io.env, log);
  try {
    return await use(backend, config);
  } finally {
    const unlisted = backend.unlisted?.() ?? null;
    if (unlisted !== null) io.err(`warning: ${unlisted}\n`);
    await backend.close();
  }
}

/** All terminals but those that only answer discovery, sorted by name; of a warm one nobody is the user (`isNobody`). */
export async function listTerminals(backend: Backend, signal: AbortSignal): Promise<readonly Actual[]> {
  const all = await backend.list(signal);
  return all.filter(({ key }) => key.user !== discoveryUser).sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * The terminals that names and options mean.
 * @throws UsageError where none is named, or a name is not there
 */
export function selectTerminals(
  all: readonly Actual[],
  values: OptionValues,
  names: readonly string[],
): readonly Actual[] {
  const { user, policy, all: everything } = values;
  if (names.length === 0 && user === undefined && policy === undefined && everything !== true) {
    throw new UsageError('say which terminals: by NAME (see "terminals list"), --user, --policy or --all');
  }
  const missing = names.find((name) => !all.some((terminal) => terminal.name === name));
  if (missing !== undefined) throw new UsageError(`there is no terminal "${missing}"`);
  return all.filter(
    ({ name, key }) =>
      (names.length === 0 || names.includes(name)) &&
      (user === undefined || key.user === user) &&
      (policy === undefined || key.policy === policy),
  );
}
