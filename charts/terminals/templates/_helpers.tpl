{{/* The chart's name; of a subchart under an alias: the alias. */}}
{{- define "terminals.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The beginning of all names, with room for "-orchestrator" in a label of 63 characters. */}}
{{- define "terminals.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 49 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "terminals.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 49 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 49 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Where the Terminal resources, their Pods and the policies are. */}}
{{- define "terminals.namespace" -}}
{{- default .Release.Namespace .Values.terminalsNamespace -}}
{{- end -}}

{{- define "terminals.onKubernetes" -}}
{{- if eq .Values.orchestrator.backend "kubernetes-operator" }}true{{ end -}}
{{- end -}}

{{- define "terminals.labels" -}}
{{- with .Values.commonLabels }}{{ toYaml . }}
{{ end -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/part-of: open-terminal
app.kubernetes.io/name: {{ include "terminals.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* What finds the Pods of one component: (list . "orchestrator"). It can't change over upgrades. */}}
{{- define "terminals.selector" -}}
{{- $top := index . 0 -}}
app.kubernetes.io/name: {{ include "terminals.name" $top }}
app.kubernetes.io/instance: {{ $top.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "terminals.componentLabels" -}}
{{ include "terminals.labels" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "terminals.serviceAccountName" -}}
{{- $top := index . 0 -}}
{{- $account := (index $top.Values (index . 1)).serviceAccount -}}
{{- if $account.create -}}
{{- default (printf "%s-%s" (include "terminals.fullname" $top) (index . 1)) $account.name -}}
{{- else -}}
{{- default "default" $account.name -}}
{{- end -}}
{{- end -}}

{{- define "terminals.secretName" -}}
{{- default (printf "%s-api-key" (include "terminals.fullname" .)) .Values.existingSecret -}}
{{- end -}}

{{/* Where in that Secret the key of administrators is. */}}
{{- define "terminals.adminKeyField" -}}
{{- if .Values.existingSecret -}}
{{- ternary "admin-key" "api-key" .Values.existingAdminKey -}}
{{- else -}}
{{- ternary "admin-key" "api-key" (ne .Values.adminKey "") -}}
{{- end -}}
{{- end -}}

{{- define "terminals.image" -}}
{{- if .digest -}}{{ .repository }}@{{ .digest }}{{- else -}}{{ .repository }}:{{ .tag }}{{- end -}}
{{- end -}}

{{/* What TERMINALS_POLICIES_CONFIGMAP says: a name, or a selector. */}}
{{- define "terminals.policiesSource" -}}
{{- if .Values.policiesSelector -}}
{{- .Values.policiesSelector -}}
{{- else -}}
{{- default (printf "%s-policies" (include "terminals.fullname" .)) .Values.existingPoliciesConfigMap -}}
{{- end -}}
{{- end -}}

{{- define "terminals.leaseName" -}}
{{- default (printf "%s-operator" (include "terminals.fullname" .)) .Values.operator.leaderElection.leaseName -}}
{{- end -}}

{{/* The Lease of the orchestrators, and the ConfigMap of how revisions fare. */}}
{{- define "terminals.orchestratorsName" -}}
{{- printf "%s-orchestrator" (include "terminals.fullname" .) -}}
{{- end -}}

{{/* One variable: (list "NAME" "value"). */}}
{{- define "terminals.env" -}}
- name: {{ index . 0 }}
  value: {{ index . 1 | toString | quote }}
{{- end -}}
