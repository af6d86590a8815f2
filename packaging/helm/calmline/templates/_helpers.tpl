{{- define "calmline.selector" -}}
app.kubernetes.io/name: calmline
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "calmline.labels" -}}
{{ include "calmline.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "calmline.name" -}}
{{- if contains "calmline" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-calmline{{ end }}
{{- end }}

{{- define "calmline.secret" -}}
{{ .Values.existingSecret | default (include "calmline.name" .) }}
{{- end }}

{{- define "calmline.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "calmline.environment" -}}
- name: HOST_IP
  valueFrom:
    fieldRef: {fieldPath: {{ if .Values.hostNetwork }}status.hostIP{{ else }}status.podIP{{ end }}}
- name: POD_NAME
  valueFrom:
    fieldRef: {fieldPath: metadata.name}
{{- end }}

{{- define "calmline.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}
