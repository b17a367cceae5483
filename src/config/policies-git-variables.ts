/** Variables about policies in a Git repository. @module */
import type { Variable } from './variables.ts';

export const policiesGitVariables = [
  {
    name: 'TERMINALS_POLICIES_GIT',
    default: '',
    meaning:
      'Git repository of the policies, `url[#ref][:folder]`, instead of a directory: see [docs/gitops.md](docs/gitops.md)',
  },
  {
    name: 'TERMINALS_POLICIES_GIT_INTERVAL',
    default: '60',
    meaning: 'seconds between two looks at that repository; 0: only when it is asked to',
  },
  {
    name: 'TERMINALS_POLICIES_GIT_WEBHOOK_SECRET',
    default: '',
    secret: true,
    meaning: 'secret of a webhook of that repository, for POST /api/v1/webhooks/git; empty: there is none',
  },
  {
    name: 'TERMINALS_POLICIES_GIT_VERIFY',
    default: '',
    meaning:
      'file of those who may sign its commits: allowed signers as ssh-keygen has them, or public keys of OpenPGP; empty: signatures are not looked at',
  },
  {
    name: 'TERMINALS_POLICIES_GIT_SSH_KEY_FILE',
    default: '',
    meaning: 'private key for ssh; `known_hosts` beside it is held to',
  },
  {
    name: 'TERMINALS_POLICIES_GIT_TOKEN_FILE',
    default: '',
    meaning: 'file of the token for https, read again each time',
  },
] as const satisfies readonly Variable[];
