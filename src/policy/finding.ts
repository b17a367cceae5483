/** One thing that is wrong with the meaning of a policy. @module */

export interface Finding {
  readonly severity: 'error' | 'warning';
  readonly path: readonly (string | number)[];
  readonly atName?: boolean;
  readonly message: string;
  readonly hint: string;
}

/** What keeps a policy out of force. @param path below `spec` */
export function error(path: readonly (string | number)[], message: string, hint: string): Finding {
  return { severity: 'error', path: ['spec', ...path], message, hint };
}

/** What is in force all the same. @param path below `spec` */
export function warning(path: readonly (string | number)[], message: string, hint: string): Finding {
  return { ...error(path, message, hint), severity: 'warning' };
}

/** A path as people write it: `spec.mounts[0].target`. */
export function pathText(path: readonly (string | number)[]): string {
  const text = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`)).join('');
  return text.replace(/^\./, '');
}
