{{/* The operator's arguments. Each is one `--name=value`, so that a value can never be read as
     another option. */}}
{{- define "pai-operator.args" -}}
- run
- {{ printf "--endpoint-root=%s" .Values.tencentcloud.endpointRoot | quote }}
{{- range $service, $url := .Values.tencentcloud.endpoints }}
{{- if $url }}
{{- if and (hasPrefix "http://" $url) (not $.Values.tencentcloud.allowInsecureEndpoints) }}
{{- fail (printf "tencentcloud.endpoints.%s must begin with https://, or set tencentcloud.allowInsecureEndpoints" $service) }}
{{- end }}
- {{ printf "--endpoint=%s=%s" $service $url | quote }}
{{- end }}
{{- end }}
{{- if .Values.tencentcloud.allowInsecureEndpoints }}
- --allow-insecure-endpoints
{{- end }}
- --max-concurrent-reconciles={{ int .Values.tencentcloud.maxConcurrentReconciles }}
{{- range $action, $rate := .Values.tencentcloud.rateLimit }}
- --rate-limit={{ $action }}={{ int $rate }}
{{- end }}
{{- with .Values.watch.labelSelector }}
- {{ printf "--watch-label-selector=%s" . | quote }}
{{- end }}
{{- range .Values.watch.namespaces }}
- --watch-namespace={{ . }}
{{- end }}
- --metrics-address={{ if .Values.metrics.enabled }}[::]:{{ int .Values.metrics.port }}{{ else }}off{{ end }}
{{- if include "pai-operator.metricsSecured" . }}
- --metrics-cert-dir=/etc/pai-operator/metrics-tls
{{- end }}
- --health-address=[::]:8081
- --log-format={{ .Values.log.format }}
- --log-level={{ .Values.log.level }}
- --lease-namespace=$(POD_NAMESPACE)
- --lease-name={{ include "pai-operator.fullname" . }}
- --lease-duration={{ int .Values.leaderElection.leaseDurationSeconds }}s
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end -}}
