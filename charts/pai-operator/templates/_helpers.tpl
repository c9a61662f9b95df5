{{/* The chart's name, at most 63 characters as a label must be. */}}
{{- define "pai-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* The name of the resources: at most 57 characters, as suffixes follow. */}}
{{- define "pai-operator.fullname" -}}
{{- $name := include "pai-operator.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 57 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 57 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 57 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{/* Only these two: the selector of a Deployment cannot be changed later. */}}
{{- define "pai-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "pai-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "pai-operator.labels" -}}
{{ include "pai-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: operator
app.kubernetes.io/part-of: pai-operator
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "pai-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "pai-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "pai-operator.image" -}}
{{- $repository := required "image.repository must be set" .Values.image.repository -}}
{{- with .Values.image.registry }}{{ . }}/{{ end -}}
{{- $repository }}:{{ default .Chart.AppVersion .Values.image.tag -}}
{{- with .Values.image.digest }}@{{ . }}{{ end -}}
{{- end -}}

{{/* What stands behind every RoleBinding and ClusterRoleBinding. */}}
{{- define "pai-operator.subjects" -}}
subjects:
  - kind: ServiceAccount
    name: {{ include "pai-operator.serviceAccountName" . }}
    namespace: {{ .Release.Namespace }}
{{- end -}}

{{/* Rights on our own resources and events, in a Role or a ClusterRole. */}}
{{- define "pai-operator.operatorRules" -}}
- apiGroups: [pai.tencentcloud.io]
  resources: [paiinstances]
  verbs: [get, list, watch, patch]
- apiGroups: [pai.tencentcloud.io]
  resources: [paiinstances/status]
  verbs: [update]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create]
{{- end -}}

{{/* Secrets and ConfigMaps by name; an empty list of names gives no rule, since a rule without
     names would mean all of them. */}}
{{- define "pai-operator.referenceRules" -}}
{{- with .Values.references.secretNames }}
- apiGroups: [""]
  resources: [secrets]
  resourceNames: {{ toJson . }}
  verbs: [get]
{{- end }}
{{- with .Values.references.configMapNames }}
- apiGroups: [""]
  resources: [configmaps]
  resourceNames: {{ toJson . }}
  verbs: [get]
{{- end }}
{{- end -}}

{{/* Not empty where the metrics are served by TLS, to those who may get them. */}}
{{- define "pai-operator.metricsSecured" -}}
{{- if and .Values.metrics.enabled .Values.metrics.secure.enabled -}}
{{- required "metrics.secure.certSecret must name a Secret of type kubernetes.io/tls where metrics.secure.enabled is true" .Values.metrics.secure.certSecret -}}
{{- end -}}
{{- end -}}

{{/* The Service of the metrics: its name is a label, of at most 63 characters. */}}
{{- define "pai-operator.metricsService" -}}
{{- include "pai-operator.fullname" . | trunc 55 | trimSuffix "-" }}-metrics
{{- end -}}

{{/* ClusterRoles of the secured metrics. Releases that watch some namespaces only may have one name, each in its own namespace. */}}
{{- define "pai-operator.metricsRole" -}}
{{- include "pai-operator.fullname" . }}{{ if .Values.watch.namespaces }}-{{ .Release.Namespace }}{{ end }}-metrics
{{- end -}}
