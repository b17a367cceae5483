/**
 * What Debian packages were installed at the first start of a terminal comes out of its home at the next ones. The image
 * installs them itself, by `apt-get update` and `apt-get install`, so that this hooks into apt: before the lists of packages
 * are read it puts back what an earlier start has kept, whereupon there is nothing to install, and nothing is asked of the
 * network. Else all goes as without it, and afterwards what the installation changed is kept. Pure.
 * @module
 */
import { homeTarget } from './child-names.ts';
import type { TerminalSpec } from './terminal-resource.ts';

/** On a Pod: the two files, which a volume takes from there. */
export const aptConfigurationAnnotation = 'openwebui.com/apt-configuration';
export const packageCacheAnnotation = 'openwebui.com/package-cache';

/** In the home, where it goes with a reset: nothing that a user has made lasts longer than that. */
const cache = `${homeTarget}/.cache/terminals`;
const script = '/etc/terminals/package-cache';
/** Of one container: none of it outlives that. */
const state = '/run/terminals-packages';

/** Without packages, or a home that lasts, nothing is kept; without root nothing can be installed. */
export function keepsPackages({ packages, persistence, restricted }: TerminalSpec): boolean {
  return packages.length > 0 && persistence.enabled && !restricted;
}

export function packageCacheAnnotations(spec: TerminalSpec): Readonly<Record<string, string>> {
  if (!keepsPackages(spec)) return {};
  return {
    [aptConfigurationAnnotation]: configuration,
    [packageCacheAnnotation]: scriptOf(spec.packages),
  };
}

/** The volume of the two files, and where the terminal's container has them. */
export const packageCacheVolume = {
  name: 'package-cache',
  downwardAPI: {
    items: [aptConfigurationAnnotation, packageCacheAnnotation].map((annotation) => ({
      path: annotation.slice(annotation.indexOf('/') + 1),
      fieldRef: { fieldPath: `metadata.annotations['${annotation}']` },
    })),
  },
};
export const packageCacheMounts = [
  { path: '/etc/apt/apt.conf.d/00terminals', file: 'apt-configuration' },
  { path: script, file: 'package-cache' },
].map(({ path, file }) => ({
  name: packageCacheVolume.name,
  mountPath: path,
  subPath: file,
  readOnly: true,
}));

/**
 * The hook of `update` runs after apt has read which sources there are. So at first there are none, and the hook decides:
 * it opens them, and reads the lists itself where they are needed. An `update` of the user finds them open.
 */
const configuration = `APT::Update::Pre-Invoke { "sh ${script} restore || true"; };
DPkg::Post-Invoke { "sh ${script} keep || true"; };
Dir::Etc::sourcelist "${state}/sources.list";
Dir::Etc::sourceparts "${state}/sources.list.d";
APT::Get::List-Cleanup "false";
// A container's own files need not survive a crash of the node.
DPkg::Options { "--force-unsafe-io"; };
`;

/** What is kept is of exactly these packages on exactly this image: another one begins anew. */
function scriptOf(packages: readonly string[]): string {
  return `# restore: before apt reads the lists of packages; keep: after packages were installed.
state=${state}
cache=${cache}
wanted=${quoted(packages.join(' '))}

open_sources() {
  ln -s /etc/apt/sources.list "$state/sources.list"
  ln -s /etc/apt/sources.list.d "$state/sources.list.d"
}

restore() {
  mkdir "$state" 2>/dev/null || return 0
  open_sources
  kept=$cache/packages-$({ cat /var/lib/dpkg/status; echo "$wanted"; } | sha256sum | cut -c 1-16).tgz
  if [ -f "$kept" ]; then
    tar --xattrs --xattrs-include=security.capability -C / -xzf "$kept" && return
    rm -f "$kept"
  fi
  apt-get -qq update -o Debug::NoLocking=true
  echo "$kept" >"$state/keep-as"
  touch "$state/began"
}

changed() {
  find / -xdev '(' -path /dev -o -path /home -o -path /proc -o -path /root -o -path /run -o -path /sys -o -path /tmp \\
    -o -path /var/cache/apt -o -path /var/lib/apt/lists -o -path /etc/hostname -o -path /etc/hosts \\
    -o -path /etc/resolv.conf ')' -prune -o -cnewer "$state/began" ! -path / "$@"
}

complete() {
  [ -z "$(dpkg --audit)" ] || return
  for package in $wanted; do
    [ "$(dpkg-query -W -f '\${db:Status-Status}' "\${package%%[=/]*}")" = installed ] || return
  done
}

keep() {
  [ -f "$state/keep-as" ] || return 0
  kept=$(cat "$state/keep-as")
  rm "$state/keep-as"
  complete || return
  # A home is its user's: only where it takes less than half of what is free.
  size=$(changed -printf '%k\\n' | awk '{ sum += $1 } END { print sum + 0 }')
  free=$(df -Pk ${homeTarget} | awk 'NR == 2 { print $4 }')
  [ $((size * 2)) -lt "$free" ] || return
  for folder in "\${cache%/*}" "$cache"; do
    [ -d "$folder" ] || { mkdir "$folder" && chown --reference=${homeTarget} "$folder"; } || return
  done
  changed -print0 | tar --xattrs --xattrs-include=security.capability -C / --null --no-recursion -T - \\
    --use-compress-program 'gzip -1' -cf "$cache/new" 2>/dev/null &&
    sync "$cache/new" && rm -f "$cache"/packages-*.tgz && mv "$cache/new" "$kept" || rm -f "$cache/new"
}

"$1"
`;
}

/** One word of a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
