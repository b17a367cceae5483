/**
 * Whether the quantities of a Terminal's spec are some. The definition refuses others; a Terminal from before it did may hold
 * any. Pure.
 * @module
 */
import { pathText } from '../policy/finding.ts';
import { type QuantityKind, quantityKinds, quantityProblem } from '../terminal/quantity.ts';
import type { TerminalSpec } from './terminal-resource.ts';
import { SpecError } from './trouble.ts';

/** @throws SpecError for the first that is none */
export function checkQuantities({ resources, persistence }: TerminalSpec): void {
  for (const part of ['requests', 'limits'] as const) {
    for (const name of ['cpu', 'memory'] as const)
      check(quantityKinds[name], ['resources', part, name], resources[part][name]);
  }
  check(quantityKinds.size, ['persistence', 'size'], persistence.size);
}

function check(kind: QuantityKind, path: readonly string[], quantity: string | number): void {
  const problem = quantityProblem(kind, quantity);
  if (problem !== null) throw new SpecError(`${pathText(['spec', ...path])}: ${problem}`, kind.hint);
}
