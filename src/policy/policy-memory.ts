/**
 * The policies in force, over a restart: what is broken, or out of reach, at a start stays as it was before. It is a hint, no
 * database: without it the start knows of no last good version.
 * @module
 */
import { isMap, type JsonMap } from '../json.ts';
import type { PolicyId } from '../terminal/terminal.ts';
import { isBuiltin } from './builtin.ts';
import { checkMeaning } from './check.ts';
import { Layer } from './layers.ts';
import type { Place, Policy, PolicySet, Unread } from './policy.ts';
import { type PolicyRules, policySet } from './policy-set.ts';
import { checkStructure } from './schema.ts';
import { signersOf } from './signers.ts';

export interface PolicyMemoryOptions {
  /** Where it is written: for nobody else to read, since values of variables are in it. */
  readonly file: {
    read(): Promise<Readonly<JsonMap> | null>;
    write(content: string): Promise<boolean>;
  };
  /** What policies come from, in words; what another source said is not known here. */
  readonly from: string;
  /** Who may sign them; null: anybody. What was verified by others is not known here. */
  readonly signersFile: string | null;
}

const apiVersion = 'terminals.openwebui.com/v1alpha1';

export class PolicyMemory {
  readonly #options: PolicyMemoryOptions;
  #written: string | null = null;
  /** By whom each policy, and the folder's defaults, were verified: what stays while it is broken, by those of then. */
  #signers: ReadonlyMap<PolicyId | Layer, string | undefined> = new Map();
  #writing: Promise<void> = Promise.resolve();

  constructor(options: PolicyMemoryOptions) {
    this.#options = options;
  }

  /** The set that was in force, within the bounds of now; null: it is not known. */
  async load(rules: PolicyRules): Promise<PolicySet | null> {
    const { file, from, signersFile } = this.#options;
    const content = await file.read();
    if (content === null || content.from !== from || !Array.isArray(content.policies)) return null;
    const signers = signersFile === null ? undefined : await signersOf(signersFile).catch(() => null);
    if (signers === null) return null;
    this.#written = JSON.stringify(content);
    const verified = (saved: unknown) => !isMap(saved) || saved.signers === signers;
    const { source, lastGood } = content;
    const policies = content.policies.filter(verified).flatMap((saved) => policyOf(saved, rules) ?? []);
    const left = content.policies.filter(
      (saved) => !policies.some(({ id }) => isMap(saved) && id === saved.name),
    );
    const unread = left.length === 0 ? unreadIn(content.unread) : unknownAgain(left);
    const builtinBefore = isMap(content.builtin) && verified(content.builtin);
    if (policies.length === 0 && unread === null && !builtinBefore) return null;
    const defaults = verified(content.defaults) ? defaultsOf(content.defaults) : null;
    const good = new Set(Array.isArray(lastGood) ? lastGood : []);
    const names = policies.map(({ id }) => id);
    this.#signers = new Map([...names, ...(defaults ? [defaults] : [])].map((one) => [one, signers]));
    return {
      ...policySet(new Map(policies.map((policy) => [policy.id, policy])), []),
      lastGood: new Set(names.filter((id) => good.has(id))),
      ...(typeof source === 'string' ? { source } : {}),
      ...(signers === undefined ? {} : { signers }),
      ...(unread === null ? {} : { unread }),
      builtinBefore,
      ...(defaults === undefined ? {} : { defaults }),
    };
  }

  /** Writes the set down where it is another; one writing after the other. Nothing that was read is nothing to be known. */
  save(set: PolicySet): void {
    if (set.policies.size === 0 && set.unread === undefined) return;
    this.#signers = this.#verifiedBy(set);
    const text = JSON.stringify({ from: this.#options.from, ...contentOf(set, this.#signers) });
    this.#writing = this.#writing.then(async () => {
      if (text !== this.#written && (await this.#options.file.write(text))) this.#written = text;
    });
  }

  /** Resolves when nothing is left to be written. */
  saved(): Promise<void> {
    return this.#writing;
  }

  #verifiedBy({ policies, lastGood, defaults, signers }: PolicySet) {
    const before = this.#signers;
    const of = (one: PolicyId | Layer, stays: boolean) =>
      [one, stays && before.has(one) ? before.get(one) : signers] as const;
    return new Map([
      ...[...policies.keys()].map((id) => of(id, lastGood?.has(id) === true)),
      ...(defaults ? [of(defaults, true)] : []),
    ]);
  }
}

function contentOf(
  { policies, lastGood, source, defaults, unread }: PolicySet,
  signers: ReadonlyMap<PolicyId | Layer, string | undefined>,
) {
  const saved = defaults
    ? { signers: signers.get(defaults), spec: defaults.spec, at: defaults.declaredAt }
    : defaults;
  const declared = [...policies.values()].filter((policy) => !isBuiltin(policy));
  const builtin = [...policies.values()].find((one) => isBuiltin(one) && !unread?.held.has(one.id));
  return {
    source,
    defaults: saved,
    lastGood: [...(lastGood ?? [])],
    unread: unread && { broken: [...unread.broken], empty: [...unread.empty], held: [...unread.held] },
    // That it is there, where nobody may have declared another. What it is the configuration says at the next start.
    builtin: builtin && { signers: signers.get(builtin.id) },
    policies: declared.map(({ id, spec, declaredAt, extends: parent }) => ({
      name: id,
      extends: parent,
      signers: signers.get(id),
      at: declaredAt,
      spec,
    })),
  };
}

/** Null where it is not what we wrote, or not valid any more. */
function policyOf(saved: unknown, rules: PolicyRules): Policy | null {
  if (!isMap(saved)) return null;
  const { name, spec, extends: parent } = saved;
  const declaredAt = placeOf(saved.at);
  const checked = checkStructure({ apiVersion, kind: 'Policy', metadata: { name }, spec }, {});
  if (declaredAt === null || !checked.ok) return null;
  const meant = checkMeaning(checked.document, rules);
  if (meant.findings.some(({ severity }) => severity === 'error')) return null;
  return {
    id: checked.document.metadata.name as PolicyId,
    spec: meant.spec,
    declaredAt,
    ...(typeof parent === 'string' ? { extends: parent as PolicyId } : {}),
  };
}

/** Null as well where they are not valid any more: then no policy is in force before they are good. */
function defaultsOf(saved: unknown): Layer | null | undefined {
  if (saved === undefined) return undefined;
  if (!isMap(saved) || !isMap(saved.spec)) return null;
  const declaredAt = placeOf(saved.at);
  const { spec } = saved;
  const good = checkStructure({ apiVersion, kind: 'PolicyDefaults', spec }, {}).ok;
  return good && declaredAt !== null ? new Layer(spec, { place: () => declaredAt }) : null;
}

/** Null where nothing is known of it: then everything that can't be read is new. */
function unreadIn(saved: unknown): Unread | null {
  if (!isMap(saved) || !Array.isArray(saved.held)) return null;
  const held = saved.held.flatMap((one): [PolicyId | null, readonly string[]][] => {
    const [name, paths] = Array.isArray(one) ? one : [];
    return name === null || typeof name === 'string' ? [[name as PolicyId | null, textsIn(paths)]] : [];
  });
  return {
    broken: new Set(textsIn(saved.broken)),
    empty: new Set(textsIn(saved.empty)),
    held: new Map(held),
  };
}

/** Of policies that are not taken up: they may still be where they were, and in whatever else can't be read. */
function unknownAgain(left: readonly unknown[]): Unread {
  const held = left.flatMap((saved): [PolicyId, readonly string[]][] => {
    const place = isMap(saved) ? placeOf(saved.at) : null;
    return isMap(saved) && place !== null ? [[saved.name as PolicyId, [place.file]]] : [];
  });
  return { broken: new Set(), empty: new Set(), held: new Map(held) };
}

function textsIn(saved: unknown): readonly string[] {
  return Array.isArray(saved) ? saved.filter((one) => typeof one === 'string') : [];
}

function placeOf(saved: unknown): Place | null {
  if (!isMap(saved)) return null;
  const { file, line, column } = saved;
  if (typeof file !== 'string' || typeof line !== 'number' || typeof column !== 'number') return null;
  return { file, line, column };
}
