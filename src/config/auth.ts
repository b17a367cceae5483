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

/** Who is let in: callers with the key, or everybody. */
export type Auth = KeyAuth | OpenAuth;

export interface KeyAuth {
  readonly mode: 'key';
  readonly key: Secret;
  /** Made at this start, because none was set. */
  readonly made: boolean;
}

export interface OpenAuth {
  readonly mode: 'open';
}

const open: OpenAuth = { mode: 'open' };

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Whether only this machine can reach a server that listens there. */
export function isLoopback(host: string): boolean {
  const family = isIP(host);
  return family === 0
    ? host.toLowerCase() === 'localhost'
    : loopback.check(host, family === 6 ? 'ipv6' : 'ipv4');
}

interface AuthSettings {
  readonly key: Setting<string>;
  readonly mode: Setting<AuthMode>;
  readonly host: Setting<string>;
  readonly dev: boolean;
}

/** Open without a word is for loopback only; what others can reach needs a key, or TERMINALS_AUTH=open. */
export function checkAuth(reader: EnvironmentReader, { key, mode, host, dev }: AuthSettings): Auth {
  if (key.faulty || mode.faulty) return open;
  if (mode.value === 'open') return checkOpen(reader, key, host);
  if (key.value !== '') return { mode: 'key', key: new Secret(key.value), made: false };
  if (dev) return { mode: 'key', key: new Secret(randomBytes(24).toString('base64url')), made: true };
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

function checkOpen(reader: EnvironmentReader, key: Setting<string>, host: Setting<string>): Auth {
  if (key.value !== '') {
    const hint = 'Unset TERMINALS_API_KEY, or TERMINALS_AUTH.';
    reader.report({ variable: 'TERMINALS_AUTH', value: 'open', message: 'a key is set as well.', hint });
  } else if (!isLoopback(host.value)) {
    reader.warnings.push(`TERMINALS_AUTH=open: everybody who reaches ${host.value} is let in.`);
  }
  return open;
}
