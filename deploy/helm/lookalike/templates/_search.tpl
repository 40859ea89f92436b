{{/* Container and volumes of a search service: (dict "root" $ "with" … "ingests" true), "with"
     being what "lookalike.env" takes. On a cluster it is a node of Ray without room for
     replicas. One of the services ingests: the ledger of its queue is in its volume. */}}
{{- define "lookalike.searchContainers" -}}
{{- $root := .root -}}
{{- $cluster := .root.Values.cluster -}}
containers:
  - name: search
    image: {{ include "lookalike.image" (dict "root" $root "image" (ternary $cluster.image $root.Values.search.image $cluster.enabled)) }}
    imagePullPolicy: {{ $root.Values.image.pullPolicy }}
    {{- include "lookalike.containerSecurity" $root | nindent 4 }}
    {{- if $cluster.enabled }}
    command: [/bin/sh, -c]
    args:
      - |
        ray start --address "{{ include "lookalike.rayHead" $root }}:6379" --num-cpus 0 --disable-usage-stats \
          --object-store-memory 104857600 && exec python -m search_service
    {{- end }}
    ports:
      - { name: grpc, containerPort: 50051 }
      - { name: metrics, containerPort: 9101 }
      - { name: health, containerPort: 8081 }
    {{- include "lookalike.probes" 8081 | nindent 4 }}
    env:
      - { name: LOOKALIKE_SEARCH_DATA, value: /var/lib/lookalike }
      - { name: NUMBA_CACHE_DIR, value: /var/cache/lookalike }
      {{- $embedders := $root.Values.search.extraEmbedders -}}
      {{- if $root.Values.embedder.enabled -}}
      {{- $own := printf "%s:50052" (include "lookalike.part" (dict "root" $root "part" "embedder")) -}}
      {{- $embedders = prepend $embedders $own -}}
      {{- end }}
      {{- with $embedders }}
      - { name: LOOKALIKE_SEARCH_EMBEDDERS, value: {{ join "," . | quote }} }
      {{- end }}
      {{- if and $root.Values.tls.secret (not $root.Values.tls.mutual) }}
      - { name: LOOKALIKE_SEARCH_EMBEDDER_TLS_CA, value: /etc/lookalike/tls/ca.crt }
      {{- end }}
      {{- if $cluster.enabled }}
      {{- include "lookalike.clusterEnv" $root | nindent 6 }}
      {{- end }}
      {{- include "lookalike.env" .with | nindent 6 }}
      {{- if .ingests }}
      {{- include "lookalike.redisEnv" .with | nindent 6 }}
      {{- end }}
      # For `kubectl exec … lookalike status`.
      {{- include "lookalike.clientEnv" (dict "root" $root "token" $root.Values.auth.tokenSecret) | nindent 6 }}
      {{- with $root.Values.search.extraEnv }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    resources:
      {{- toYaml $root.Values.search.resources | nindent 6 }}
    volumeMounts:
      - { name: data, mountPath: /var/lib/lookalike, subPath: data }
      # Loops that are compiled for the node's processor at the first start.
      - { name: data, mountPath: /var/cache/lookalike, subPath: cache }
      {{- if $cluster.enabled }}
      - { name: shm, mountPath: /dev/shm }
      {{- end }}
      {{- include "lookalike.mounts" .with | nindent 6 }}
volumes:
  {{- if $cluster.enabled }}
  - name: shm
    emptyDir: { medium: Memory, sizeLimit: 256Mi }
  {{- end }}
  {{- include "lookalike.volumes" .with | nindent 2 }}
{{- end -}}

{{/* The Service that the KubeRay operator makes for the head. */}}
{{- define "lookalike.rayHead" -}}
{{- printf "%s-head-svc" (include "lookalike.part" (dict "root" . "part" "ray")) -}}
{{- end -}}

{{/* How a process joins Ray, and who may: the operator makes the secret with the token. */}}
{{- define "lookalike.rayEnv" -}}
- { name: RAY_USAGE_STATS_ENABLED, value: "0" }
# How long a node looks for its head; Ray's minute may be too short to start one.
- { name: RAY_gcs_rpc_server_reconnect_timeout_s, value: "600" }
- { name: RAY_AUTH_MODE, value: token }
- name: RAY_AUTH_TOKEN
  valueFrom:
    secretKeyRef:
      name: {{ include "lookalike.part" (dict "root" . "part" "ray") }}
      key: auth_token
{{- end -}}

{{- define "lookalike.clusterEnv" -}}
{{- $cluster := .Values.cluster -}}
{{- include "lookalike.rayEnv" . }}
{{- if $cluster.log.urlSecret.name }}
- name: LOOKALIKE_SEARCH_CLUSTER_LOG
  valueFrom:
    secretKeyRef:
      name: {{ $cluster.log.urlSecret.name }}
      key: {{ $cluster.log.urlSecret.key }}
{{- else }}
- { name: LOOKALIKE_SEARCH_CLUSTER_LOG, value: "redis://{{ include "lookalike.part" (dict "root" . "part" "redis") }}:6379" }
{{- end }}
- { name: LOOKALIKE_SEARCH_CLUSTER_SNAPSHOTS, value: {{ $cluster.snapshots | quote }} }
- { name: LOOKALIKE_SEARCH_CLUSTER_DATA, value: /var/lib/lookalike-replicas }
{{- end -}}

{{/* Pods that are nodes of Ray, which call one another on many ports. */}}
{{- define "lookalike.rayPeers" -}}
{{- range $number, $part := list "ray" "search" "front" }}
{{- if $number }}{{ "\n" }}{{ end }}
{{- include "lookalike.peer" (dict "root" $ "part" $part) }}
{{- end }}
{{- end -}}
