// Made from schemas/policy.schema.json by `npm run generate`; edit that, not this.

/**
 * What its terminals are made of. Every field has a default.
 */
export interface PolicySpec {
  /**
   * Groups whose members get this policy by default, by name or id; * stands for any characters. Nobody else may use it. Absent: anyone who names it.
   *
   * @minItems 1
   * @maxItems 100
   */
  readonly groups?: [string, ...string[]];
  /**
   * Of several policies whose groups match, the one with the highest priority is taken; of equal ones the first by name.
   */
  readonly priority: number;
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
      /**
       * Processes and threads.
       */
      readonly pids: number;
    };
  };
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
  };
  /**
   * A terminal without a proxied byte for this long is stopped; its home stays. 0: never.
   */
  readonly idleTimeoutMinutes: number;
  /**
   * The terminal of a chat or an automation is deleted with its home when it was not used for this long. 0: never.
   */
  readonly contextRetentionDays: number;
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
   * Host paths made visible in the terminals (Docker).
   */
  readonly mounts: {
    /**
     * Absolute path on the Docker host.
     */
    readonly source: string;
    /**
     * Absolute path in the terminal, outside of /home/user.
     */
    readonly target: string;
    /**
     * Whether it can only be read.
     */
    readonly readOnly: boolean;
  }[];
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
   * When a changed policy replaces running terminals. What can change in place (limits, idle timeout) does so at once.
   */
  readonly rollout: {
    /**
     * idle: when nobody uses it; nextStart: when it is started the next time; now: at once.
     */
    readonly when: 'idle' | 'nextStart' | 'now';
    /**
     * Minutes without a proxied byte after which a terminal counts as unused for a replacement.
     */
    readonly idleAfterMinutes: number;
    /**
     * After this long a terminal is replaced even in use; absent: it waits as long as it takes.
     */
    readonly maxDelayMinutes?: number;
    /**
     * How many running terminals are replaced at a time: a number, or a share of all of the policy's; one at least.
     */
    readonly maxUnavailable: number | string;
    /**
     * So many failed starts in a row stall the rollout: everybody stays on the last revision that ran.
     */
    readonly pauseOnFailures: number;
    /**
     * Running terminals are replaced only in this time; absent: at any time.
     */
    readonly window?: {
      /**
       * When it opens: a cron expression of five fields.
       */
      readonly schedule: string;
      /**
       * How long it stays open.
       */
      readonly durationMinutes: number;
      /**
       * Of the schedule, as in the IANA database.
       */
      readonly timezone: string;
    };
  };
  /**
   * When the homes of its terminals are emptied; absent: never. A terminal in use is reset when it was unused for rollout.idleAfterMinutes.
   */
  readonly reset?: {
    /**
     * A date and time (ISO 8601: once), @daily, @weekly, @monthly, or a cron expression of five fields.
     */
    readonly schedule: string;
    /**
     * Of the schedule, as in the IANA database.
     */
    readonly timezone: string;
    /**
     * Files and folders that stay, as paths in the home.
     *
     * @maxItems 100
     */
    readonly keep: string[];
  };
  /**
   * How long a start may take until the terminal answers; absent: 15, or 300 where packages are installed.
   */
  readonly startTimeoutSeconds?: number;
  /**
   * How many terminals are kept started that are nobody's yet: a first request gets one at once. Only without persistence (Docker).
   */
  readonly warm: number;
  /**
   * Leave this policy's terminals as they are: no update, no replacement, no idle stop.
   */
  readonly suspend: boolean;
}
