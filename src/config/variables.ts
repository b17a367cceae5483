/**
 * Every variable of the environment that Terminals reads: name, default, meaning. README's table is made from this one.
 * @module
 */

import { kubernetesVariables } from './kubernetes-variables.ts';
import { policiesGitVariables } from './policies-git-variables.ts';

export interface Variable {
  readonly name: string;
  /** Older or longer names of the same thing. */
  readonly aliases?: readonly string[];
  /** As it would be written in the environment; '' stands for "not set". */
  readonly default: string;
  readonly meaning: string;
  /** A secret is also read from the file that `<name>_FILE` names, and its value is never shown. */
  readonly secret?: true;
}

const general = [
  {
    name: 'TERMINALS_BACKEND',
    default: 'docker',
    meaning:
      'what runs the terminals: `docker`, `kubernetes-operator`, `process` (for trying out), or `auto` (Docker where an engine answers, else `process`)',
  },
  {
    name: 'TERMINALS_API_KEY',
    default: '',
    secret: true,
    meaning:
      'shared secret that Open WebUI sends as bearer; several, by comma or line, while one replaces another',
  },
  {
    name: 'TERMINALS_AUTH',
    default: 'key',
    meaning:
      '`key` (a key or a token), or `open`: everybody who reaches the port is admitted (beyond loopback only if this says so)',
  },
  {
    name: 'TERMINALS_IMAGE',
    default: 'ghcr.io/open-webui/open-terminal:latest',
    meaning: 'image of policies that name none',
  },
  { name: 'TERMINALS_PORT', default: '3000', meaning: 'port it listens on; 0: any free one' },
  { name: 'TERMINALS_HOST', default: '0.0.0.0', meaning: 'address it listens on' },
  {
    name: 'TERMINALS_WORKERS',
    default: '1',
    meaning:
      'processes that serve requests: 1, or `auto`, as many as there are cores; from 2 on beside the one that manages the terminals',
  },
  {
    name: 'TERMINALS_NETWORK',
    aliases: ['TERMINALS_DOCKER_NETWORK'],
    default: '',
    meaning:
      "Docker network(s) of the terminals, comma-separated; empty: an own one in which terminals can't reach each other",
  },
  {
    name: 'TERMINALS_DOCKER_HOST',
    default: '127.0.0.1',
    meaning:
      'address of the published ports where no network is set; ports are published on that address only',
  },
  {
    name: 'TERMINALS_DATA_DIR',
    aliases: ['TERMINALS_DOCKER_DATA_DIR'],
    default: 'data/terminals',
    meaning: "directory of the users' homes",
  },
  {
    name: 'TERMINALS_IDLE_TIMEOUT_MINUTES',
    default: '0',
    meaning: 'idle timeout of the built-in policy, and where set of every policy that names none; 0: never',
  },
  {
    name: 'TERMINALS_MAX_CPU',
    default: '',
    meaning:
      "upper bound of a policy's CPU limit: above it `validate` fails, and a running policy is clamped",
  },
  { name: 'TERMINALS_MAX_MEMORY', default: '', meaning: "upper bound of a policy's memory limit, likewise" },
  {
    name: 'TERMINALS_MAX_TERMINALS',
    default: '',
    meaning:
      'how many terminals run at once (Docker, processes): above it those go that are warm or the longest idle, else requests get 503; empty: no bound',
  },
  {
    name: 'TERMINALS_MAX_TOTAL_MEMORY',
    default: '',
    meaning: 'what the memory limits of all that run may come to, likewise',
  },
  {
    name: 'TERMINALS_POLICIES_DIR',
    default: 'policies, if it is there',
    meaning: 'watched directory of policies',
  },
  {
    name: 'TERMINALS_ALLOWED_IMAGES',
    default: '',
    meaning:
      'patterns (`*`) of the images that policies may name, in a podTemplate too, comma-separated; empty: all',
  },
  {
    name: 'TERMINALS_DOCKER_MOUNTS',
    default: '',
    meaning: 'JSON `[{"source", "target", "readOnly"}]`, mounted into every container',
  },
  {
    name: 'TERMINALS_SECRETS_DIR',
    default: '',
    meaning:
      "directory of the values of policies' `secretEnv` (Docker and processes): each in a file `NAME/KEY`, read when a terminal starts",
  },
  {
    name: 'TERMINALS_OPEN_WEBUI_URL',
    default: '',
    meaning:
      "Open WebUI's address from here: its users' own tokens are taken, and their groups asked for there",
  },
  {
    name: 'TERMINALS_OPEN_WEBUI_SECRET_KEY',
    default: '',
    secret: true,
    meaning: "Open WebUI's WEBUI_SECRET_KEY: its tokens are verified here, without a question to it",
  },
  {
    name: 'TERMINALS_OPEN_WEBUI_API_KEY',
    default: '',
    secret: true,
    meaning:
      "API key of an administrator of Open WebUI: groups of the users that the shared key's holder names",
  },
  {
    name: 'TERMINALS_FORWARD_JWT_SECRET',
    default: '',
    secret: true,
    meaning: 'secret of X-OpenWebUI-User-Jwt: where the header is there, it must name the same user',
  },
  {
    name: 'TERMINALS_OIDC_ISSUER',
    default: '',
    meaning: 'identity provider whose access tokens are taken (Open WebUI: auth type OAuth)',
  },
  {
    name: 'TERMINALS_OIDC_AUDIENCE',
    default: '',
    meaning: 'what `aud` of such a token must be, comma-separated; needed with an issuer',
  },
  {
    name: 'TERMINALS_OIDC_JWKS_URL',
    default: '',
    meaning: "the provider's keys; empty: as its discovery document says",
  },
  {
    name: 'TERMINALS_OIDC_ALGORITHMS',
    default: '',
    meaning: 'signature algorithms taken, comma-separated; empty: all with a public key',
  },
  { name: 'TERMINALS_USER_CLAIM', default: 'sub', meaning: "claim that is the user's id" },
  {
    name: 'TERMINALS_GROUPS_CLAIM',
    default: 'groups',
    meaning: 'claim with the groups: a name, a dotted path or a JSON pointer',
  },
  {
    name: 'TERMINALS_USER_ID_FROM',
    default: 'claim',
    meaning:
      'whose terminal it is with such a token: `claim`, or `header` (X-User-Id is believed: only where nobody but Open WebUI can call)',
  },
  {
    name: 'TERMINALS_TOKEN_CACHE_TTL',
    default: '60',
    meaning: 'seconds for which a token that was checked, and the groups of a user, are not asked for again',
  },
  {
    name: 'TERMINALS_TOKEN_STALE_SECONDS',
    default: '300',
    meaning: 'so much longer they count while Open WebUI can not be reached',
  },
  {
    name: 'TERMINALS_UNKNOWN_GROUPS',
    default: 'allow',
    meaning:
      'whether a caller whose groups are unknown may use a policy that is for certain groups: `allow` or `deny`',
  },
  {
    name: 'TERMINALS_ADMIN_KEY',
    default: '',
    secret: true,
    meaning: 'key of the admin API under /api/v1; empty: the shared key',
  },
  {
    name: 'TERMINALS_ADMIN_GROUP',
    default: '',
    meaning: 'group whose members may use the admin API with their own token',
  },
  {
    name: 'TERMINALS_POLICY_WRITES',
    default: 'false',
    meaning: 'whether the admin API may edit the policy files',
  },
  {
    name: 'TERMINALS_AUDIT_LOG',
    default: '',
    meaning: 'where decisions are recorded, a JSON line each: a file, or `stdout`',
  },
  {
    name: 'TERMINALS_LOG_LEVEL',
    default: 'info',
    meaning:
      '`fatal`, `error`, `warn`, `info`, `debug`, `trace` or `silent`; JSON lines unless on a terminal',
  },
] as const satisfies readonly Variable[];

export const variables = [...general, ...policiesGitVariables, ...kubernetesVariables] as const;

export type VariableName = (typeof variables)[number]['name'];

/** The table of variables in Markdown, as it stands in README.md. */
export function variablesTable(): string {
  const rows = variables.map((variable: Variable) => {
    const names = [
      variable.name,
      ...(variable.secret ? [`${variable.name}_FILE`] : []),
      ...(variable.aliases ?? []),
    ];
    const value = variable.default === '' ? '(empty)' : variable.default;
    return `| ${names.map((name) => `\`${name}\``).join(', ')} | ${value} | ${variable.meaning} |`;
  });
  return ['| variable | default | meaning |', '|---|---|---|', ...rows].join('\n');
}
