/** What a terminal wrote, fit to be logged and shown. @module */
import type { WorkloadFingerprint } from '../terminal/terminal.ts';

/** A shorter one is in other words by chance, and would show itself by where they are masked. */
const shortestSecret = 4;
/** What is called a key, token, password or secret; a bounded count of letters between, for lines of any length. */
const named =
  /((?:api.?key|token)[^\w[]+|(?:passw(?:or)?d|(?<!\[)secret)\w{0,40}[^\w[]{0,4}[:=][^\w[]{0,4})\S+/gi;
/** A user name alone may be a token. */
const loginInAddress = /(:\/\/(?:[^\s/:@]*:)?)[^\s/]+@/g;

/** The lines without these values, each line of them, and without anything that looks like a key or a password. */
export function masked(lines: readonly string[], secrets: readonly string[]): readonly string[] {
  const parts = secrets.flatMap((secret) => secret.split('\n')).map((part) => part.trim());
  const known = parts.filter((part) => part.length >= shortestSecret).sort((a, b) => b.length - a.length);
  return lines.map((line) =>
    known
      .reduce((text, secret) => text.replaceAll(secret, '[secret]'), line)
      .replace(named, '$1[secret]')
      .replace(loginInAddress, '$1[secret]@'),
  );
}

/** The values among a terminal's variables (`NAME=value`) that are for nobody else: of `secretEnv`, and its own key. */
export function secretsAmong(
  variables: readonly string[],
  fingerprint: WorkloadFingerprint,
): readonly string[] {
  return variables.flatMap((variable) => {
    const [name = ''] = variable.split('=', 1);
    const isSecret = name === 'OPEN_TERMINAL_API_KEY' || `secretEnv.${name}` in fingerprint;
    return isSecret ? [variable.slice(name.length + 1)] : [];
  });
}
