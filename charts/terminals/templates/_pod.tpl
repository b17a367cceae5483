{{/* What the Pods of both components have in common: (list . "orchestrator"). */}}
{{- define "terminals.podMeta" -}}
{{- $top := index . 0 -}}
{{- $values := index $top.Values (index . 1) -}}
labels:
  {{- include "terminals.componentLabels" . | nindent 2 }}
  {{- with $values.podLabels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with $values.podAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "terminals.podSpec" -}}
{{- $top := index . 0 -}}
{{- $values := index $top.Values (index . 1) -}}
serviceAccountName: {{ include "terminals.serviceAccountName" . }}
automountServiceAccountToken: {{ include "terminals.onKubernetes" $top | eq "true" }}
enableServiceLinks: false
terminationGracePeriodSeconds: {{ $values.terminationGracePeriodSeconds }}
{{- with $top.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if $values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- $own := dict "labelSelector" (dict "matchLabels" (include "terminals.selector" . | fromYaml)) }}
  {{- range $values.topologySpreadConstraints }}
  - {{- toYaml (hasKey . "labelSelector" | ternary . (merge (deepCopy .) $own)) | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "terminals.containerBase" -}}
{{- $top := index . 0 -}}
{{- $values := index $top.Values (index . 1) -}}
image: {{ include "terminals.image" $values.image }}
imagePullPolicy: {{ $values.image.pullPolicy }}
{{- with $values.containerSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* What the operator and the orchestrator both have to know about the Pods of terminals. */}}
{{- define "terminals.kubernetesEnv" -}}
{{- $defaults := .Values.terminalDefaults -}}
{{- $env := list (dict "name" "TERMINALS_KUBERNETES_NAMESPACE" "value" (include "terminals.namespace" .)) -}}
{{- with $defaults.persistence.storageClass -}}
{{- $env = append $env (dict "name" "TERMINALS_KUBERNETES_STORAGE_CLASS" "value" .) -}}
{{- end -}}
{{- if $defaults.restricted -}}
{{- $env = append $env (dict "name" "TERMINALS_KUBERNETES_RESTRICTED" "value" "true") -}}
{{- end -}}
{{- $objects := dict
  "LABELS" $defaults.labels
  "NODE_SELECTOR" $defaults.nodeSelector
  "TOLERATIONS" $defaults.tolerations
  "POD_SECURITY_CONTEXT" $defaults.podSecurityContext
  "CONTAINER_SECURITY_CONTEXT" $defaults.containerSecurityContext -}}
{{- range $name, $value := $objects -}}
{{- if $value -}}
{{- $env = append $env (dict "name" (printf "TERMINALS_KUBERNETES_%s" $name) "value" (toJson $value)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $env -}}
{{- end -}}
