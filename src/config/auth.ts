/**
 * Who is let in, as the configuration says it.
 * @module
 */
import { randomBytes } from 'node:crypto';
import { BlockList, isIP } from 'node:net';
import { inspect } from 'node:util';
import type { EnvironmentReader, Setting } from './reader.ts';
import type { AuthMode } from './values.ts';

/** Text that shows itself to nobody who does not ask for it. */
export class Secret {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  /** The text itself, for where it is needed. Never for a log. */
  reveal(): string {
    return this.#text;
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }

  [inspect.custom](): string {
    return '[secret]';
  }
}

/** Who is let in: callers with a key or a token, or everybody. */
export type Auth = KeyAuth | OpenAuth;

export interface KeyAuth {
  readonly mode: 'key';
  /** The shared keys; none where only tokens are taken. */
  readonly keys: readonly Secret[];
  /** Where the keys are read from again when it changes; null: they were not in a file. */
  readonly keyFile: string | null;
  /** Made at this start, because none was set. */
  readonly made: boolean;
}

export interface OpenAuth {
  readonly mode: 'open';
}

const open: OpenAuth = { mode: 'open' };

/** Whether only this machine can reach a server that listens there. */
export function isLoopback(host: string): boolean {
  const family = isIP(host);
  if (family === 0) return host.toLowerCase() === 'localhost';
  // Made here, since what it loads is a fortieth of a start where nobody asks.
  const loopback = new BlockList();
  loopback.addSubnet('127.0.0.0', 8, 'ipv4');
  loopback.addAddress('::1', 'ipv6');
  return loopback.check(host, family === 6 ? 'ipv6' : 'ipv4');
}

interface AuthSettings {
  readonly keys: Setting<readonly string[]>;
  readonly mode: Setting<AuthMode>;
  readonly host: Setting<string>;
  /** Whether tokens are taken, so that no key is needed. */
  readonly tokens: boolean;
  readonly dev: boolean;
}

/** Open without a word is for loopback only; what others can reach needs a key or tokens, or TERMINALS_AUTH=open. */
export function checkAuth(reader: EnvironmentReader, settings: AuthSettings): Auth {
  const { keys, mode, host, tokens, dev } = settings;
  if (keys.faulty || mode.faulty) return open;
  if (mode.value === 'open') return checkOpen(reader, settings);
  if (keys.value.length > 0 || tokens) {
    const keyFile = reader.fileOf('TERMINALS_API_KEY');
    return { mode: 'key', keys: keys.value.map((key) => new Secret(key)), keyFile, made: false };
  }
  if (dev) return { mode: 'key', keys: [newKey()], keyFile: null, made: true };
  if (mode.isSet) {
    const message = 'TERMINALS_AUTH=key asks for a key, and none is set.';
    reader.report({ variable: 'TERMINALS_API_KEY', value: null, message, hint: 'Set one.' });
  } else if (!host.faulty && isLoopback(host.value)) {
    reader.warnings.push('No key is set: everybody on this machine is let in. Set TERMINALS_API_KEY.');
  } else if (!host.faulty) {
    reader.report({
      variable: 'TERMINALS_API_KEY',
      value: null,
      message: `no key is set, and ${host.value} can be reached from other machines.`,
      hint: 'Set a key, or TERMINALS_HOST=127.0.0.1; TERMINALS_AUTH=open lets everybody in.',
    });
  }
  return open;
}

function newKey(): Secret {
  return new Secret(randomBytes(24).toString('base64url'));
}

function checkOpen(reader: EnvironmentReader, { keys, host, tokens }: AuthSettings): Auth {
  const report = (message: string, hint: string) =>
    reader.report({ variable: 'TERMINALS_AUTH', value: 'open', message, hint });
  if (keys.value.length > 0) report('a key is set as well.', 'Unset TERMINALS_API_KEY, or TERMINALS_AUTH.');
  else if (tokens)
    report('tokens are to be checked as well.', 'Unset TERMINALS_AUTH, or what says whose tokens are taken.');
  else if (!isLoopback(host.value))
    reader.warnings.push(`TERMINALS_AUTH=open: everybody who reaches ${host.value} is let in.`);
  return open;
}
