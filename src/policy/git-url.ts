/** Where policies are in Git: `url[#ref][:path]`. @module */

/** One folder at one ref of a repository. */
export interface GitLocation {
  /** As the git program takes it; never with a password. */
  readonly url: string;
  /** The one protocol that git may speak. */
  readonly protocol: 'https' | 'http' | 'ssh' | 'git' | 'file';
  /** A branch, a tag, `refs/…` or a whole commit id; null: the repository's default branch. */
  readonly ref: string | null;
  /** From the root of the repository, without slashes around it; empty: all of it. */
  readonly folder: string;
}

/** What is wrong with the text, and what to write instead. */
export class GitLocationError extends Error {
  readonly hint: string;
  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

const example = 'Write e.g. https://git.example.com/team/policies.git#main:policies.';
const protocols = ['https', 'http', 'ssh', 'git', 'file'] as const;
/** user@host:path, which is ssh. */
const scpLike = /^[\w][\w.-]*@[\w][\w.-]*:(?!\/\/)[^\s:]+$/;
/** As git check-ref-format has it, and nothing that could be an option. */
const refForm = /^(?!-)(?!.*\.\.)(?!.*@\{)(?!.*\/\/)[\w./@+-]{1,250}(?<![./])$/;

/** @throws GitLocationError */
export function parseGitLocation(text: string): GitLocation {
  const { url, ref, folder } = split(text);
  const protocol = protocolOf(url);
  if (ref !== '' && (!refForm.test(ref) || ref.endsWith('.lock'))) {
    throw new GitLocationError('what is behind # is not a branch, tag or commit.', example);
  }
  const parts = folder.split('/').filter((part) => part !== '' && part !== '.');
  if (parts.some((part) => part === '..' || part === '.git') || hasControl(folder)) {
    throw new GitLocationError('the folder is not one inside of the repository.', example);
  }
  return { url, protocol, ref: ref === '' ? null : ref, folder: parts.join('/') };
}

/** For people: the address without what is private in it. */
export function shownLocation({ url, ref, folder }: GitLocation): string {
  const behind = `${ref ?? ''}${folder === '' ? '' : `:${folder}`}`;
  return `${url.replace(/\/\/[^/@]*@/, '//')}${behind === '' ? '' : `#${behind}`}`;
}

/** Without a ref a folder is told from a port or a path by standing behind `.git`. */
function split(text: string): { url: string; ref: string; folder: string } {
  const hash = text.indexOf('#');
  if (hash === -1) {
    const [, url, folder] = /^(.*\.git):(.+)$/.exec(text) ?? [];
    return { url: url ?? text, ref: '', folder: folder ?? '' };
  }
  const behind = text.slice(hash + 1);
  const colon = behind.indexOf(':');
  return {
    url: text.slice(0, hash),
    ref: colon === -1 ? behind : behind.slice(0, colon),
    folder: colon === -1 ? '' : behind.slice(colon + 1),
  };
}

function protocolOf(url: string): GitLocation['protocol'] {
  if (scpLike.test(url)) return 'ssh';
  const parsed = URL.parse(url);
  const protocol = protocols.find((one) => `${one}:` === parsed?.protocol);
  if (parsed === null || protocol === undefined || /\s/.test(url) || hasControl(url)) {
    throw new GitLocationError('not the address of a Git repository.', example);
  }
  if (parsed.password !== '') {
    const hint = 'Write the token into a file, and name it in TERMINALS_POLICIES_GIT_TOKEN_FILE.';
    throw new GitLocationError('a password is in the address.', hint);
  }
  const there = protocol === 'file' ? parsed.host === '' : parsed.host !== '' && parsed.search === '';
  if (!there || parsed.hostname.startsWith('-') || parsed.username.startsWith('-')) {
    throw new GitLocationError('not the address of a Git repository.', example);
  }
  return protocol;
}

function hasControl(text: string): boolean {
  return /\p{Cc}/u.test(text);
}
