/** What a file declared that is not there any more, and where it may be now. @module */
import type { PolicyId } from '../terminal/terminal.ts';
import { isEmpty } from './document.ts';
import type { PolicySet, Problem, Unread } from './policy.ts';
import { placed } from './problems.ts';
import type { FileReading } from './reading.ts';

type Read = Pick<FileReading, 'path' | 'partlyUnreadable' | 'isEmpty'>;

/**
 * Of what was declared in a file (by its name; null: the folder's defaults): the files in which it may be now. None where its
 * file is there. What could not be read already while it was can't be it, nor what declared something else then.
 */
export function mayHaveMoved(
  files: readonly Read[],
  previous: PolicySet | null,
): (name: PolicyId | null, file: string) => readonly string[] {
  const declaring = declaringFiles(previous);
  const unreadable = files.filter(({ partlyUnreadable }) => partlyUnreadable);
  const open = new Set(
    unreadable.filter((file) => isNewlyUnread(file, previous) && !declaring.has(file.path)),
  );
  const there = new Set(files.map(({ path }) => path));
  return (name, file) => {
    if (there.has(file)) return [];
    const before = heldIn(name, previous);
    return unreadable
      .filter((other) => open.has(other) || before.includes(other.path))
      .map(({ path }) => path);
  };
}

/** The files in which something in force was declared. */
export function declaringFiles(set: PolicySet | null): ReadonlySet<string> {
  const all = [...(set?.policies.values() ?? []), ...(set?.defaults ? [set.defaults] : [])];
  return new Set(all.map(({ declaredAt }) => declaredAt.file));
}

/** Whether there is something in the file that can't be read, and was not there when it was read before. */
export function isNewlyUnread(
  { path, partlyUnreadable, isEmpty }: Read,
  previous: PolicySet | null,
): boolean {
  const before = previous?.unread;
  return partlyUnreadable && !before?.broken.has(path) && !(isEmpty && before?.empty.has(path));
}

/** The files in which something may be since an earlier reading. */
export function heldIn(name: PolicyId | null, previous: PolicySet | null): readonly string[] {
  return previous?.unread?.held.get(name) ?? [];
}

/**
 * The set in force as it is for files under other paths than its own: an empty one among them is none of those that would be
 * gone.
 */
export function seenFromElsewhere(
  set: PolicySet,
  files: readonly { readonly path: string; readonly text: string }[],
): PolicySet {
  const own = declaringFiles(set);
  if (files.some(({ path }) => own.has(path))) return set;
  const empty = new Set(files.filter(({ text }) => isEmpty(text)).map(({ path }) => path));
  return { ...set, unread: { broken: new Set(), held: new Map(), ...set.unread, empty } };
}

/** What the next reading has to know of this one; undefined: all was read. */
export function unreadOf(
  files: readonly Read[],
  held: readonly (readonly [PolicyId | null, readonly string[]])[],
): Unread | undefined {
  const unreadable = files.filter(({ partlyUnreadable }) => partlyUnreadable);
  const holding = held.filter(([, paths]) => paths.length > 0);
  if (unreadable.length === 0 && holding.length === 0) return undefined;
  const paths = (isEmpty: boolean) =>
    new Set(unreadable.filter((file) => file.isEmpty === isEmpty).map(({ path }) => path));
  return { broken: paths(false), empty: paths(true), held: new Map(holding) };
}

/** Said where the first of those files begins. */
export function sayHeld(name: PolicyId | null, file: string, [first]: readonly string[]): readonly Problem[] {
  if (first === undefined) return [];
  const [what, it] =
    name === null
      ? ['the PolicyDefaults stay as they were', 'they']
      : [`the policy "${name}" stays as it was`, 'it'];
  const message = `${what}: ${file} is gone, and ${it} may be declared here`;
  const place = { file: first, line: 1, column: 1 };
  return [placed(place, 'warning', [], message, 'mend the file, or delete it')];
}
