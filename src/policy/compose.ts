/**
 * Drafts → policies: each laid over the policy that it extends and the defaults of the folder, and checked as a whole.
 * @module
 */
import { closest } from '../closest.ts';
import { isMap } from '../json.ts';
import type { PolicyId } from '../terminal/terminal.ts';
import { checkMeaning, type Finding } from './check.ts';
import type { ParsedDocument } from './document.ts';
import { Layer, mergeLayers, Origins } from './layers.ts';
import type { Policy } from './policy.ts';
import type { PolicyRules } from './policy-set.ts';
import { type Locate, type Said, sayFindings } from './problems.ts';
import type { Draft } from './reading.ts';
import { checkStructure } from './schema.ts';

/** So many policies may stand above one. */
const mostAncestors = 8;
/** Values taken over from other documents, over all policies: a few large ones that thousands extend end here. */
const mostInherited = 250_000;

const apiVersion = 'terminals.openwebui.com/v1alpha1';

/** A draft as it turned out. */
export interface Composed {
  /** Null: something is wrong with it, or with what it extends. */
  readonly policy: Policy | null;
  /** Its own, then those that it inherits from, the nearest first. */
  readonly layers: readonly Layer[];
  readonly said: readonly Said[];
}

export interface ComposerOptions {
  /** By name; where there are several of it, the one that would be in force first. */
  readonly drafts: ReadonlyMap<string, readonly Draft[]>;
  /** The file in which the policy in force of that name is. */
  readonly inForce: (id: string) => string | undefined;
  readonly defaults: Layer | null;
  readonly rules: PolicyRules;
}

export class Composer {
  readonly #options: ComposerOptions;
  readonly #done = new Map<Draft, Composed>();
  #inherited = 0;

  constructor(options: ComposerOptions) {
    this.#options = options;
  }

  /** The policy of a draft, or what is wrong with it. */
  of(draft: Draft): Composed {
    const done = this.#done.get(draft);
    if (done) return done;
    const composed = this.#compose(draft);
    this.#done.set(draft, composed);
    return composed;
  }

  /** The built-in policy under the defaults of the folder. */
  builtin(): Composed {
    const { defaults, rules } = this.#options;
    const { policy, said } = boundedBuiltin(rules);
    const { id, spec, declaredAt } = policy;
    if (defaults === null) return { policy, layers: [], said };
    const own = new Layer({ ...spec }, { place: () => declaredAt });
    const merged = mergeLayers([defaults, own]);
    const content = { apiVersion, kind: 'Policy', metadata: { name: id }, spec: merged.spec };
    // Without a word in the defaults the image is the configuration's, which warns of its own image by itself.
    const images = defaults.has(['image']) ? rules.allowedImages : [];
    return check({
      content,
      layers: [own],
      owners: merged.owners,
      declared: { id, declaredAt },
      locate: locator(merged.owners, own, () => declaredAt),
      rules: { ...rules, allowedImages: images },
    });
  }

  #compose(draft: Draft): Composed {
    const { document, id } = draft;
    const { defaults, rules } = this.#options;
    const own = Layer.of(document);
    const above = draft.parent === null ? [] : this.#above(draft, draft.parent);
    if (!Array.isArray(above)) return { policy: null, layers: [], said: sayOwn(above, draft) };
    const layers = [...(own ? [own] : []), ...above];
    const all = defaults ? [...layers, defaults] : layers;
    if (this.#inherited > mostInherited) return { policy: null, layers, said: sayOwn(tooMuch, draft) };
    const { spec, owners } = mergeLayers(all);
    if (all.length > 1) this.#inherited += owners.size;
    const parent = draft.parent === null ? {} : { extends: draft.parent as PolicyId };
    return check({
      content: isMap(document.content) && own ? { ...document.content, spec } : document.content,
      layers,
      owners,
      declared: { id: id as PolicyId, declaredAt: document.place([]), ...parent },
      locate: locator(owners, own, document.place),
      rules,
    });
  }

  /** The layers of what a draft extends, or why it can't. */
  #above(draft: Draft, name: string): Layer[] | Finding {
    const parent = this.#named(name);
    if (parent === undefined) {
      const near = closest(
        name,
        [...this.#options.drafts.keys()].filter((other) => other !== draft.id),
      );
      return refused(
        `there is no policy "${name}" to extend`,
        near === null ? 'name a policy of this folder' : `did you mean "${near}"?`,
      );
    }
    const names = this.#ancestry(draft);
    if (names.includes(draft.id)) {
      return refused(`it extends itself: ${[draft.id, ...names].join(' → ')}`, 'take one of them out');
    }
    if (names.length > mostAncestors) {
      return refused(`more than ${mostAncestors} policies are above it`, 'extend one that is further up');
    }
    const { policy, layers } = this.of(parent);
    if (policy === null)
      return refused(`the policy "${name}", which it extends, has errors`, 'mend that one');
    return [...layers];
  }

  /** The names above a draft: to the last, to the first that comes again, or to one more than there may be. */
  #ancestry(draft: Draft): readonly string[] {
    const names: string[] = [];
    let at: Draft | undefined = draft;
    while (at?.parent != null && names.length <= mostAncestors) {
      if (names.includes(at.parent)) break;
      names.push(at.parent);
      at = at.parent === draft.id ? undefined : this.#named(at.parent);
    }
    return names;
  }

  /** Of several of one name: that in the file of the policy in force, else the first. */
  #named(name: string): Draft | undefined {
    const all = this.#options.drafts.get(name) ?? [];
    const file = this.#options.inForce(name);
    return all.find((draft) => draft.file === file) ?? all[0];
  }
}

/** The built-in policy within the bounds. Nobody can write it otherwise, so that it is never refused. */
function boundedBuiltin(rules: PolicyRules): { readonly policy: Policy; readonly said: readonly Said[] } {
  const { builtin, mode } = rules;
  const document = { metadata: { name: builtin.id }, spec: builtin.spec };
  const { spec, findings } = checkMeaning(document, { ...rules, allowedImages: [], mode: 'run' });
  const said = sayFindings(mode === 'run' ? findings : [], builtin.id, () => ({
    place: builtin.declaredAt,
    inherited: false,
  }));
  return { policy: { ...builtin, spec }, said };
}

interface Whole {
  /** The document with the merged spec in place of its own. */
  readonly content: unknown;
  readonly layers: readonly Layer[];
  readonly owners: ReadonlyMap<string, Layer>;
  readonly declared: Omit<Policy, 'spec' | 'origins'>;
  readonly locate: Locate;
  readonly rules: PolicyRules;
}

function check({ content, layers, owners, declared, locate, rules }: Whole): Composed {
  const say = (findings: readonly Finding[]) => sayFindings(findings, declared.id, locate);
  const structure = checkStructure(content, rules.defaults);
  if (!structure.ok) {
    const errors = structure.errors.map((error): Finding => ({ severity: 'error', ...error }));
    return { policy: null, layers, said: say(errors) };
  }
  const { spec, findings } = checkMeaning(structure.document, rules);
  const wrong = findings.some(({ severity }) => severity === 'error');
  const origins = new Origins(owners, structure.document.spec);
  return { policy: wrong ? null : { ...declared, spec, origins }, layers, said: say(findings) };
}

/** A field of the spec stands in the document that wrote it, everything else in the policy's own. */
function locator(
  owners: ReadonlyMap<string, Layer>,
  own: Layer | null,
  placeOfOwn: ParsedDocument['place'],
): Locate {
  const origins = new Origins(owners, null);
  return ({ path, atName }) => {
    const [first, ...rest] = path;
    const layer = first === 'spec' ? origins.nearest(rest) : null;
    if (layer === null || layer === own) return { place: placeOfOwn(path, atName), inherited: false };
    return { place: layer.place(rest, atName), inherited: true };
  };
}

function sayOwn(finding: Finding, { id, document }: Draft): readonly Said[] {
  return sayFindings([finding], id, ({ path, atName }) => ({
    place: document.place(path, atName),
    inherited: false,
  }));
}

function refused(message: string, hint: string): Finding {
  return { severity: 'error', path: ['extends'], message, hint };
}

const tooMuch = refused('too much is inherited in this folder', 'let fewer policies extend large ones');
