{{/* Names, labels and images. Where a part is needed: (dict "root" $ "part" "search"). */}}

{{- define "lookalike.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "lookalike.part" -}}
{{- printf "%s-%s" (include "lookalike.fullname" .root) .part -}}
{{- end -}}

{{- define "lookalike.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .part }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end -}}

{{- define "lookalike.metadata" -}}
name: {{ include "lookalike.part" . }}
namespace: {{ .root.Release.Namespace }}
labels:
  {{- include "lookalike.selector" . | nindent 2 }}
  app.kubernetes.io/part-of: lookalike
  app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
  app.kubernetes.io/managed-by: {{ .root.Release.Service }}
  helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* (dict "root" $ "image" .Values.search.image "suffix" "") */}}
{{- define "lookalike.image" -}}
{{- $name := printf "%s/%s" (default .root.Values.image.registry .image.registry) .image.repository | trimPrefix "/" -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s%s" $name (default .root.Chart.AppVersion .image.tag) (default "" .suffix) -}}
{{- end -}}
{{- end -}}
