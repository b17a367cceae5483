/**
 * Kubernetes quantities (`100m`, `1.5`, `1Gi`, `2e3`), as far as CPU and memory need them.
 * @see https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/
 * @module
 */

const form = /^([+-]?(?:\d+\.?\d*|\.\d+))([eE][+-]?\d+|[a-zA-Z]{0,2})$/;

const multipliers: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
};

/** @throws RangeError */
function parse(quantity: string | number): number {
  const match = form.exec(String(quantity).trim());
  const [, digits = '', suffix = ''] = match ?? [];
  const multiplier = /^[eE][+-]?\d/.test(suffix) ? Number(`1${suffix}`) : multipliers[suffix];
  if (match === null || multiplier === undefined) {
    throw new RangeError(`"${quantity}" is not a quantity`);
  }
  return Number(digits) * multiplier;
}

/**
 * CPU in thousandths of a core, at least 1; `0.5` and `500m` both give 500.
 * @throws RangeError for what is no quantity or not above 0
 */
export function parseCpu(quantity: string | number): number {
  const cores = parse(quantity);
  if (!(cores > 0) || !Number.isFinite(cores)) throw new RangeError(`"${quantity}" is not above 0`);
  return Math.max(1, Math.ceil(cores * 1000 - 1e-9));
}

/**
 * Memory or storage in bytes; `1Gi` gives 1073741824.
 * @throws RangeError for what is no quantity or below one byte
 */
export function parseMemory(quantity: string | number): number {
  const bytes = Math.ceil(parse(quantity));
  if (bytes < 1 || !Number.isSafeInteger(bytes))
    throw new RangeError(`"${quantity}" is not a number of bytes above 0`);
  return bytes;
}

/** What a quantity may be of, and what to write where it can't be read. */
export interface QuantityKind {
  readonly parse: (quantity: string | number) => number;
  readonly hint: string;
}

export const quantityKinds = {
  cpu: { parse: parseCpu, hint: 'write cores such as "2" or 500m' },
  memory: { parse: parseMemory, hint: 'write bytes such as 512Mi or 4Gi' },
  size: { parse: parseMemory, hint: 'write a size such as 5Gi' },
} as const satisfies Readonly<Record<string, QuantityKind>>;

/** What is wrong with a quantity; null: nothing. */
export function quantityProblem({ parse }: QuantityKind, quantity: string | number): string | null {
  try {
    parse(quantity);
    return null;
  } catch (cause) {
    return cause instanceof Error ? cause.message : String(cause);
  }
}

/** Thousandths of a core as a quantity. */
export function cpuQuantity(millis: number): string {
  return millis % 1000 === 0 ? String(millis / 1000) : `${millis}m`;
}

/** Bytes as a quantity, in the largest unit that says it in whole numbers. */
export function memoryQuantity(bytes: number): string {
  const unit = (['Ti', 'Gi', 'Mi', 'Ki'] as const).find((name) => bytes % (multipliers[name] ?? 1) === 0);
  return unit === undefined ? String(bytes) : `${bytes / (multipliers[unit] ?? 1)}${unit}`;
}
