/** Variables that have a field of their own, or that Terminals itself sets; and what to do instead. @module */
export const reservedEnv: ReadonlyMap<string, string> = new Map(
  Object.entries({
    OPEN_TERMINAL_API_KEY: 'leave it out: every terminal gets a key of its own',
    OPEN_TERMINAL_API_KEY_FILE: 'leave it out: every terminal gets a key of its own',
    OPEN_TERMINAL_PACKAGES: 'use spec.packages',
    OPEN_TERMINAL_PIP_PACKAGES: 'use spec.pipPackages',
    OPEN_TERMINAL_ALLOWED_DOMAINS: 'use spec.egress.allowedDomains',
  }),
);
