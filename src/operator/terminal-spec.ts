// Made from schemas/policy.schema.json by `npm run generate`; edit that or src/operator, not this.

/**
 * What the terminal should be.
 */
export interface TerminalSpec {
  /**
   * The user whose terminal it is, exactly as Open WebUI names them.
   */
  readonly userId: string;
  /**
   * The policy that it was made from.
   */
  readonly policyId: string;
  /**
   * The chat or automation that it belongs to, chat:<id> or automation:<id>; absent: the default context.
   */
  readonly contextId?: string;
  /**
   * The container image of Open Terminal.
   */
  readonly image: string;
  /**
   * What a terminal may use, in Kubernetes quantities.
   */
  readonly resources: {
    /**
     * What is set aside for it where there is a scheduler (Kubernetes).
     */
    readonly requests: {
      /**
       * Cores.
       */
      readonly cpu: string | number;
      /**
       * Bytes.
       */
      readonly memory: string | number;
    };
    /**
     * What it can't go beyond. Changed in place, without a restart.
     */
    readonly limits: {
      /**
       * Cores.
       */
      readonly cpu: string | number;
      /**
       * Bytes.
       */
      readonly memory: string | number;
    };
  };
  /**
   * A terminal without a proxied byte for this long is stopped; its home stays. 0: never.
   */
  readonly idleTimeoutMinutes: number;
  /**
   * Debian packages. On Docker they are installed once, into an image; on Kubernetes at a terminal's first start; else at each.
   */
  readonly packages: string[];
  /**
   * Python packages as pip names them, installed as the Debian packages are.
   */
  readonly pipPackages: string[];
  /**
   * Whether and where the home, /home/user, outlives the terminal.
   */
  readonly persistence: {
    /**
     * Keep the home when the terminal is stopped or replaced.
     */
    readonly enabled: boolean;
    /**
     * Size of the home where the backend can enforce one (Kubernetes).
     */
    readonly size: string | number;
    /**
     * Storage class of the home (Kubernetes); absent: the cluster's default.
     */
    readonly storageClass?: string;
    /**
     * Keep the home when the Terminal is deleted; a Terminal of the same name and user finds it again.
     */
    readonly retain: boolean;
  };
  /**
   * Environment variables of the terminal. Nothing secret, since policies are in Git: for that there is secretEnv.
   */
  readonly env: {
    [k: string]: string;
  };
  /**
   * Environment variables whose values are kept elsewhere: in a Secret of the terminals' namespace (Kubernetes), or in the file NAME/KEY of TERMINALS_SECRETS_DIR (elsewhere). Taken when a terminal starts.
   */
  readonly secretEnv: {
    [k: string]: {
      /**
       * Name of the Secret, or of the folder.
       */
      readonly name: string;
      /**
       * Key in the Secret, or name of the file.
       */
      readonly key: string;
    };
  };
  /**
   * Restricts what a terminal can reach; absent: no restriction.
   */
  readonly egress?: {
    /**
     * Domains, with their subdomains by *.; an empty list blocks everything.
     */
    readonly allowedDomains: string[];
  };
  /**
   * How long a start may take until the terminal answers; absent: 60, or 300 where packages are installed.
   */
  readonly startTimeoutSeconds?: number;
  /**
   * What is laid over a terminal's Pod (Kubernetes).
   */
  readonly podTemplate?: {
    /**
     * More labels and annotations.
     */
    readonly metadata?: {
      /**
       * More labels of the Pod.
       */
      readonly labels?: {
        [k: string]: string;
      };
      /**
       * More annotations of the Pod.
       */
      readonly annotations?: {
        [k: string]: string;
      };
    };
    /**
     * Fields of a PodSpec, laid over those of a terminal's Pod (Kubernetes): maps are merged, containers (the terminal's is called terminal), volumes and variables by their names, other lists are replaced, null takes a field away. What gives power over the node or an account at the API server is refused.
     */
    readonly spec?: {
      [k: string]: unknown;
    };
  };
  /**
   * Laid over the security context of the Pod.
   */
  readonly podSecurityContext?: {
    [k: string]: unknown;
  };
  /**
   * Laid over the security context of the terminal's container.
   */
  readonly containerSecurityContext?: {
    [k: string]: unknown;
  };
  /**
   * Keep to Pod Security "restricted": no sudo in the terminal, so no Debian packages and no list of allowed domains.
   */
  readonly restricted: boolean;
  /**
   * Leave this policy's terminals as they are: no update, no replacement, no idle stop.
   */
  readonly suspend: boolean;
}
