{{- define "coroner.labels" -}}
app.kubernetes.io/part-of: coroner
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{- define "coroner.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end -}}
{{- end }}

{{/* The directory of the runtime's socket on the node. */}}
{{- define "coroner.runtime" -}}
{{- get (dict "containerd" "/run/containerd" "crio" "/run/crio" "k3s" "/run/k3s/containerd" "docker" "/run") .Values.runtime -}}
{{- end }}

{{- define "coroner.capabilities" -}}
{{- get (dict "base" "[SYSLOG, PERFMON]" "full" "[SYSLOG, PERFMON, NET_ADMIN]" "minimal" "") .Values.agent.privileges -}}
{{- end }}
