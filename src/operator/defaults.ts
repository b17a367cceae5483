/** What the operator's own configuration adds to every terminal. @module */

/** What the Pods of terminals have where a Terminal says nothing of it. */
export interface PodDefaults {
  readonly labels: Readonly<Record<string, string>>;
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly tolerations: readonly Readonly<Record<string, unknown>>[];
  readonly podSecurityContext: Readonly<Record<string, unknown>>;
  readonly containerSecurityContext: Readonly<Record<string, unknown>>;
}

export interface OperatorDefaults {
  readonly pods: PodDefaults;
  /** Storage class of homes whose Terminal names none; absent: the cluster's default. */
  readonly storageClass?: string | undefined;
  readonly imagePullPolicy: 'Always' | 'IfNotPresent' | 'Never';
  /** Names of Secrets with credentials of image registries. */
  readonly imagePullSecrets: readonly string[];
  /** Who may connect to a terminal: Pods with these labels. */
  readonly orchestrator: {
    readonly labels: Readonly<Record<string, string>>;
    /** The namespace that they are in; absent: that of the terminal. */
    readonly namespace?: string | undefined;
  };
}

export const operatorDefaults: OperatorDefaults = {
  pods: {
    labels: {},
    nodeSelector: {},
    tolerations: [],
    podSecurityContext: {},
    containerSecurityContext: {},
  },
  imagePullPolicy: 'IfNotPresent',
  imagePullSecrets: [],
  orchestrator: {
    labels: { 'app.kubernetes.io/part-of': 'open-terminal', 'app.kubernetes.io/component': 'orchestrator' },
  },
};
