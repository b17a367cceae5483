{{/*
What the operator may do to the objects it makes out of Terminal resources. Server-side apply is create and patch; it
deletes Pods only, and the garbage collector the rest with its Terminal.
*/}}
{{- define "terminals.operatorRules" -}}
- apiGroups: [openwebui.com]
  resources: [terminals]
  verbs: [get, list, watch]
- apiGroups: [openwebui.com]
  resources: [terminals/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [services, persistentvolumeclaims, secrets]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [""]
  resources: [pods/resize]
  verbs: [patch]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, patch]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{/* Leader election: only the Lease of that name. A name can't restrict a creation. */}}
{{- define "terminals.leaseRules" -}}
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  verbs: [create]
- apiGroups: [coordination.k8s.io]
  resources: [leases]
  resourceNames: [{{ . }}]
  verbs: [get, update]
{{- end -}}

{{/* The orchestrator declares terminals, and reads what became of them. */}}
{{- define "terminals.orchestratorRules" -}}
- apiGroups: [openwebui.com]
  resources: [terminals]
  verbs: [get, list, watch, create, patch, delete]
- apiGroups: [openwebui.com]
  resources: [terminals/status]
  verbs: [patch]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, list, watch]
- apiGroups: [""]
  resources: [configmaps]
  {{- if not .Values.policiesSelector }}
  resourceNames: [{{ include "terminals.policiesSource" . }}, {{ include "terminals.orchestratorsName" . }}]
  {{- end }}
  verbs: [get, list, watch, patch]
{{- /* By a server-side apply, whose name a rule can restrict. */}}
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: [{{ include "terminals.orchestratorsName" . }}]
  verbs: [create]
- apiGroups: [""]
  resources: [events]
  verbs: [create, patch]
{{- end -}}
