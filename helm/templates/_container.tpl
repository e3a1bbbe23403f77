{{/* The container and what it stands on; shared by the Deployment, the migrations and the sidecar. */}}

{{- define "catalog-mirror.usesSqlite" -}}
{{- if hasPrefix "sqlite:" (.Values.store.url | default "") }}true{{ end }}
{{- end }}

{{/* Nothing that the restricted Pod Security Standard refuses, whatever the pod around it says. */}}
{{- define "catalog-mirror.containerSecurity" -}}
runAsNonRoot: true
readOnlyRootFilesystem: true
allowPrivilegeEscalation: false
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "catalog-mirror.podSecurity" -}}
runAsNonRoot: true
seccompProfile:
  type: RuntimeDefault
{{- if not .Values.openshift }}
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
{{- end }}
{{- end }}

{{/* Settings that are no secret. The context: root, for (run or migrate). */}}
{{- define "catalog-mirror.env" -}}
{{- $v := .root.Values }}
{{- $settings := dict "LOG__FORMAT" "json" "HTTP__PORT" $v.ports.probes "HTTP__API_PORT" $v.ports.api "STORE__MIGRATE" false }}
{{- $_ := set $settings "PIPELINE__DRAIN_S" $v.drainSeconds }}
{{- $_ := set $settings "AMQP__QUEUE" $v.amqp.queue }}
{{- if gt (int $v.amqp.queues) 1 }}{{ $_ := set $settings "AMQP__QUEUES" $v.amqp.queues }}{{ end }}
{{- with $v.catalog.url }}{{ $_ := set $settings "CATALOG__URL" . }}{{ end }}
{{- with $v.catalog.username }}{{ $_ := set $settings "CATALOG__USERNAME" . }}{{ end }}
{{- with $v.api.oidcIssuer }}{{ $_ := set $settings "HTTP__OIDC_ISSUER" . }}{{ end }}
{{- with $v.api.oidcAudience }}{{ $_ := set $settings "HTTP__OIDC_AUDIENCE" . }}{{ end }}
{{- if $v.api.admin.enabled }}
{{- $_ := set $settings "HTTP__ADMIN_PORT" $v.ports.admin }}
{{- $_ := set $settings "HTTP__ADMIN_HOST" ($v.api.admin.service | ternary "0.0.0.0" "127.0.0.1") }}
{{- end }}
{{- if eq .for "migrate" }}{{ $settings = dict "LOG__FORMAT" "json" }}{{ end }}
{{- with $v.store.schema }}{{ $_ := set $settings "STORE__SCHEMA" . }}{{ end }}
{{- if or $v.ca.configMap $v.ca.secret }}
{{- $file := "/etc/catalog-mirror/ca/ca.crt" }}
{{- range $who := $v.ca.trustedFor }}
{{- if eq $who "store" }}
{{- $_ := set $settings "STORE__CA_FILE" $file }}
{{- else if eq $.for "migrate" }}
{{- else if eq $who "oidc" }}
{{- $_ := set $settings "HTTP__OIDC_CA_FILE" $file }}
{{- else if eq $who "targets" }}
{{- range $name, $_ := $v.settings }}
{{- if regexMatch "^TARGETS__.+__URL$" $name }}
{{- $_ := set $settings (printf "%s__CA_FILE" (trimSuffix "__URL" $name)) $file }}
{{- end }}
{{- end }}
{{- else }}
{{- $_ := set $settings (printf "%s__CA_FILE" (upper $who)) $file }}
{{- end }}
{{- end }}
{{- end }}
{{- range $section, $from := include "catalog-mirror.certificates" . | fromJson }}
{{- $place := printf "/etc/catalog-mirror/certificates/%s" (lower $section) }}
{{- $_ := set $settings (printf "%s__CERT_FILE" $section) (printf "%s/tls.crt" $place) }}
{{- $_ := set $settings (printf "%s__KEY_FILE" $section) (printf "%s/tls.key" $place) }}
{{- end }}
{{- if eq .for "run" }}{{ $settings = merge (deepCopy $v.settings) $settings }}{{ end }}
{{- range $name, $value := $settings }}
- name: CATALOG_MIRROR_{{ $name }}
  value: {{ kindIs "string" $value | ternary $value (toJson $value) | quote }}
{{- end }}
{{- end }}

{{/* Whether the API is there for others than loopback. */}}
{{- define "catalog-mirror.hasApi" -}}
{{- if or .Values.api.tokens .Values.api.tokensFrom .Values.api.oidcIssuer }}true{{ end }}
{{- end }}

{{- define "catalog-mirror.ports" -}}
- name: cm-metrics
  containerPort: {{ .Values.ports.probes }}
{{- if include "catalog-mirror.hasApi" . }}
- name: cm-api
  containerPort: {{ .Values.ports.api }}
{{- end }}
{{- if .Values.api.admin.service }}
- name: cm-admin
  containerPort: {{ .Values.ports.admin }}
{{- end }}
{{- end }}

{{/* The context: root, for (run or migrate). */}}
{{- define "catalog-mirror.mounts" -}}
- name: catalog-mirror-tmp
  mountPath: /tmp
{{- if include "catalog-mirror.secretSources" . }}
- name: catalog-mirror-{{ .for }}-secrets
  mountPath: /etc/catalog-mirror/secrets
  readOnly: true
{{- end }}
{{- if include "catalog-mirror.certificates" . | fromJson }}
- name: catalog-mirror-{{ .for }}-certificates
  mountPath: /etc/catalog-mirror/certificates
  readOnly: true
{{- end }}
{{- if or .root.Values.ca.configMap .root.Values.ca.secret }}
- name: catalog-mirror-ca
  mountPath: /etc/catalog-mirror/ca
  readOnly: true
{{- end }}
{{- if .root.Values.persistence.enabled }}
- name: catalog-mirror-data
  mountPath: /data
{{- end }}
{{- with .root.Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
Our certificates of one purpose, as JSON: from section to {secret, certificate, key}. A migration sees the store's alone.
The context: root, for.
*/}}
{{- define "catalog-mirror.certificates" -}}
{{- $v := .root.Values }}
{{- $found := dict }}
{{- if eq .for "migrate" }}
{{- with $v.store.migrationCertificateFrom | default $v.store.certificateFrom }}{{ $_ := set $found "STORE" . }}{{ end }}
{{- else }}
{{- with $v.store.certificateFrom }}{{ $_ := set $found "STORE" . }}{{ end }}
{{- with $v.amqp.certificateFrom }}{{ $_ := set $found "AMQP" . }}{{ end }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{/* Secrets and certificates of one purpose as volumes. The context: root, for, secret (the chart's own), mode. */}}
{{- define "catalog-mirror.ownVolumes" -}}
{{- include "catalog-mirror.secretVolume" . }}
{{- with include "catalog-mirror.certificates" . | fromJson }}
- name: catalog-mirror-{{ $.for }}-certificates
  projected:
    # The service refuses a key that everybody may read.
    defaultMode: {{ 0440 }}
    sources:
      {{- range $section, $from := . }}
      - secret:
          name: {{ $from.secret }}
          items:
            - key: {{ $from.certificate | default "tls.crt" }}
              path: {{ lower $section }}/tls.crt
            - key: {{ $from.key | default "tls.key" }}
              path: {{ lower $section }}/tls.key
      {{- end }}
{{- end }}
{{- end }}

{{/* The secrets of one purpose as a volume. The context: root, for, secret (the chart's own), mode. */}}
{{- define "catalog-mirror.secretVolume" -}}
{{- with include "catalog-mirror.secretSources" . }}
- name: catalog-mirror-{{ $.for }}-secrets
  projected:
    defaultMode: {{ $.mode }}
    sources:
      {{- trim . | nindent 6 }}
{{- end }}
{{- end }}

{{/* All other volumes. The context is the chart's. */}}
{{- define "catalog-mirror.volumes" -}}
- name: catalog-mirror-tmp
  emptyDir:
    sizeLimit: 64Mi
{{- with .Values.ca }}
{{- if or .configMap .secret }}
- name: catalog-mirror-ca
  projected:
    defaultMode: {{ 0444 }}
    sources:
      - {{ empty .configMap | ternary "secret" "configMap" }}:
          name: {{ .configMap | default .secret }}
          items:
            - key: {{ .key }}
              path: ca.crt
{{- end }}
{{- end }}
{{- if .Values.persistence.enabled }}
- name: catalog-mirror-data
  persistentVolumeClaim:
    claimName: {{ .Values.persistence.existingClaim | default (include "catalog-mirror.fullname" .) }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Image, environment, ports, mounts, security: what every container of the running service has. */}}
{{- define "catalog-mirror.body" -}}
{{- $run := dict "root" . "for" "run" "secret" (include "catalog-mirror.fullname" .) }}
image: {{ include "catalog-mirror.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
env:
  {{- include "catalog-mirror.env" $run | trim | nindent 2 }}
  {{- include "catalog-mirror.secretEnv" $run | trim | nindent 2 }}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
ports:
  {{- include "catalog-mirror.ports" . | nindent 2 }}
resources:
  {{- toYaml .Values.resources | nindent 2 }}
securityContext:
  {{- include "catalog-mirror.containerSecurity" . | nindent 2 }}
volumeMounts:
  {{- include "catalog-mirror.mounts" $run | nindent 2 }}
{{- end }}

{{/* The container that brings the schema up to date. */}}
{{- define "catalog-mirror.migration" -}}
{{- $migrate := dict "root" . "for" "migrate" "secret" (include "catalog-mirror.migrationName" .) }}
name: migrate
image: {{ include "catalog-mirror.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args: [db, upgrade]
env:
  {{- include "catalog-mirror.env" $migrate | trim | nindent 2 }}
  {{- include "catalog-mirror.secretEnv" $migrate | trim | nindent 2 }}
  {{- with .Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
resources:
  {{- toYaml .Values.migrations.resources | nindent 2 }}
securityContext:
  {{- include "catalog-mirror.containerSecurity" . | nindent 2 }}
volumeMounts:
  {{- include "catalog-mirror.mounts" $migrate | nindent 2 }}
{{- end }}

{{/* Name of what belongs to migrations alone. */}}
{{- define "catalog-mirror.migrationName" -}}
{{ include "catalog-mirror.fullname" . }}-migrate
{{- end }}
