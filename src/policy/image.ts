/** Names of images, and which of them policies may name. @module */
import type { PolicyBounds } from './check.ts';
import { error, type Finding } from './finding.ts';

const imageForm =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::\d+)?\/)?[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:\/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*(?::[\w][\w.-]{0,127})?(?:@sha256:[0-9a-f]{64})?$/;

/** Whether it is `[registry[:port]/]path[:tag][@digest]`, as the distribution specification has it. */
export function isImageReference(text: string): boolean {
  return imageForm.test(text);
}

/** What is wrong with an image that a policy names. @param path below `spec` */
export function checkImage(
  path: readonly (string | number)[],
  image: string,
  { allowedImages }: PolicyBounds,
): readonly Finding[] {
  if (!isImageReference(image)) {
    const hint = 'write registry/name:tag or registry/name@sha256:…';
    return [error(path, `"${image}" is not an image reference`, hint)];
  }
  if (allowedImages.length === 0 || allowedImages.some((pattern) => matches(pattern, image))) return [];
  const hint = `TERMINALS_ALLOWED_IMAGES has ${allowedImages.join(', ')}`;
  return [error(path, `"${image}" is not an allowed image`, hint)];
}

/** A pattern in which `*` stands for any characters. In linear time whatever the pattern, as on a request's path it must be. */
export function matches(pattern: string, text: string): boolean {
  const [head = '', ...rest] = pattern.split('*');
  const tail = rest.pop();
  if (tail === undefined) return head === text;
  if (text.length < head.length + tail.length || !text.startsWith(head) || !text.endsWith(tail)) return false;
  const end = text.length - tail.length;
  let from = head.length;
  // The earliest place of each part leaves the most room for those after it.
  for (const part of rest) {
    const at = text.indexOf(part, from);
    if (at === -1 || at + part.length > end) return false;
    from = at + part.length;
  }
  return true;
}
