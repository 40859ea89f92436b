{{/* What pods have in common. */}}

{{/* (dict "root" $ "part" "search" "values" .Values.search) */}}
{{- define "lookalike.pod" -}}
serviceAccountName: {{ include "lookalike.fullname" .root }}
automountServiceAccountToken: false
# Variables for Services would be taken for settings.
enableServiceLinks: false
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- if .values }}
terminationGracePeriodSeconds: {{ .values.terminationGracePeriodSeconds }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "lookalike.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- define "lookalike.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  privileged: false
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* Liveness does not follow readiness: a service that loads or drains must not be restarted. */}}
{{- define "lookalike.probes" -}}
startupProbe: # until the process has come up at all
  grpc: { port: {{ . }}, service: liveness }
  periodSeconds: 5
  failureThreshold: 60
livenessProbe: # whether its event loop runs
  grpc: { port: {{ . }}, service: liveness }
  periodSeconds: 20
  timeoutSeconds: 10
  failureThreshold: 6
readinessProbe: # whether it takes calls: not while it loads, and not while it drains
  grpc: { port: {{ . }} }
  periodSeconds: 5
  timeoutSeconds: 5
  failureThreshold: 3
{{- end -}}

{{/* Numbers come as floats, which must not be written as 1e+09; lists with commas. */}}
{{- define "lookalike.text" -}}
{{- if kindIs "slice" . -}}
{{- $all := list -}}
{{- range . }}{{ $all = append $all (include "lookalike.text" .) }}{{ end -}}
{{- join "," $all -}}
{{- else if and (kindIs "float64" .) (eq (floor .) .) -}}
{{- printf "%.0f" . -}}
{{- else -}}
{{- toString . -}}
{{- end -}}
{{- end -}}

{{/* Variables of a part: (dict "root" $ "prefix" "LOOKALIKE_SEARCH" "values" … "metrics" 9101
     "health" 8081). Servers are asked for keys, callers have one. */}}
{{- define "lookalike.env" -}}
{{- $root := .root -}}
{{- $prefix := .prefix -}}
- { name: {{ $prefix }}_METRICS_HOST, value: "0.0.0.0" }
- { name: {{ $prefix }}_METRICS_PORT, value: {{ .metrics | quote }} }
- { name: {{ $prefix }}_HEALTH_HOST, value: "0.0.0.0" }
- { name: {{ $prefix }}_HEALTH_PORT, value: {{ .health | quote }} }
- { name: {{ $prefix }}_LOG_JSON, value: "true" }
{{- if .server }}
- { name: {{ $prefix }}_HOST, value: "0.0.0.0" }
{{- if $root.Values.auth.keysSecret.name }}
- { name: {{ $prefix }}_KEYS_FILE, value: /etc/lookalike/keys/keys }
{{- else }}
- { name: {{ $prefix }}_OPEN_ACCESS, value: "true" }
{{- end }}
{{- end }}
{{- if and .caller $root.Values.auth.tokenSecret.name }}
- { name: {{ $prefix }}_TOKEN_FILE, value: /etc/lookalike/token/token }
{{- end }}
{{- if $root.Values.tls.secret }}
{{- if or .ca $root.Values.tls.mutual }}
- { name: {{ $prefix }}_TLS_CA, value: /etc/lookalike/tls/ca.crt }
{{- end }}
{{- if or .server $root.Values.tls.mutual }}
- { name: {{ $prefix }}_TLS_CERTIFICATE, value: /etc/lookalike/tls/tls.crt }
- { name: {{ $prefix }}_TLS_KEY, value: /etc/lookalike/tls/tls.key }
{{- end }}
{{- end }}
{{- range $name, $value := .values.settings }}
- { name: {{ $prefix }}_{{ upper $name }}, value: {{ include "lookalike.text" $value | quote }} }
{{- end }}
{{- end -}}

{{- define "lookalike.redisEnv" -}}
{{- if .root.Values.redis.enabled }}
- { name: {{ .prefix }}_REDIS, value: "redis://{{ include "lookalike.part" (dict "root" .root "part" "redis") }}:6379" }
{{- else if .root.Values.redis.external.urlSecret.name }}
- name: {{ .prefix }}_REDIS
  valueFrom:
    secretKeyRef:
      name: {{ .root.Values.redis.external.urlSecret.name }}
      key: {{ .root.Values.redis.external.urlSecret.key }}
{{- end }}
{{- end -}}

{{/* Mounts and volumes of secrets, which are files so that they may change without a restart, and
     those that somebody adds. A caller's key is that of the parts, or `token`. */}}
{{- define "lookalike.mounts" -}}
{{- $token := default .root.Values.auth.tokenSecret .token -}}
- { name: tmp, mountPath: /tmp }
{{- if .root.Values.tls.secret }}
- { name: tls, mountPath: /etc/lookalike/tls, readOnly: true }
{{- end }}
{{- if and .server .root.Values.auth.keysSecret.name }}
- { name: keys, mountPath: /etc/lookalike/keys, readOnly: true }
{{- end }}
{{- if and .caller $token.name }}
- { name: token, mountPath: /etc/lookalike/token, readOnly: true }
{{- end }}
{{- with (default dict .values).extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "lookalike.volumes" -}}
{{- $token := default .root.Values.auth.tokenSecret .token -}}
- name: tmp
  emptyDir:
    sizeLimit: 1Gi
{{- with .root.Values.tls.secret }}
- name: tls
  secret:
    secretName: {{ . }}
    defaultMode: 0440
{{- end }}
{{- if and .server .root.Values.auth.keysSecret.name }}
- name: keys
  secret:
    secretName: {{ .root.Values.auth.keysSecret.name }}
    defaultMode: 0440
    items:
      - { key: {{ .root.Values.auth.keysSecret.key }}, path: keys }
{{- end }}
{{- if and .caller $token.name }}
- name: token
  secret:
    secretName: {{ $token.name }}
    defaultMode: 0440
    items:
      - { key: {{ $token.key }}, path: token }
{{- end }}
{{- with (default dict .values).extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Variables by which the `lookalike` command beside a service, or in a job, reaches it:
     (dict "root" $ "token" .Values.auth.tokenSecret) */}}
{{- define "lookalike.clientEnv" -}}
- { name: LOOKALIKE_ADDRESS, value: "{{ include "lookalike.part" (dict "root" .root "part" "search") }}:50051" }
{{- if .root.Values.tls.secret }}
- { name: LOOKALIKE_TLS_CA, value: /etc/lookalike/tls/ca.crt }
{{- if .root.Values.tls.mutual }}
- { name: LOOKALIKE_TLS_CERTIFICATE, value: /etc/lookalike/tls/tls.crt }
- { name: LOOKALIKE_TLS_KEY, value: /etc/lookalike/tls/tls.key }
{{- end }}
{{- end }}
{{- if .token.name }}
- { name: LOOKALIKE_TOKEN_FILE, value: /etc/lookalike/token/token }
{{- end }}
{{- end -}}
