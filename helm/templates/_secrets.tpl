{{/*
Secrets: every one is a file, which the service reads again at every connection.

"catalog-mirror.secrets" answers, as JSON, a map from setting to its source: {value} or {secret, key} or {file}. The
context is the chart's, with `for: run` or `for: migrate`: the running service never sees the role that may change the
schema, and a migration sees nothing but the store.
*/}}
{{- define "catalog-mirror.secrets" -}}
{{- $v := .root.Values }}
{{- $all := dict "STORE__URL" (list $v.store.url $v.store.urlFrom) }}
{{- if eq .for "migrate" }}
{{- $_ := set $all "STORE__MIGRATION_URL" (list $v.store.migrationUrl $v.store.migrationUrlFrom) }}
{{- else }}
{{- $_ := set $all "AMQP__URL" (list $v.amqp.url $v.amqp.urlFrom) }}
{{- $_ := set $all "AMQP__MANAGEMENT_URL" (list $v.amqp.managementUrl $v.amqp.managementUrlFrom) }}
{{- $_ := set $all "CATALOG__API_KEY" (list $v.catalog.apiKey $v.catalog.apiKeyFrom) }}
{{- $_ := set $all "CATALOG__PASSWORD" (list $v.catalog.password $v.catalog.passwordFrom) }}
{{- $_ := set $all "HTTP__TOKENS" (list $v.api.tokens $v.api.tokensFrom) }}
{{- end }}
{{- $found := dict }}
{{- range $setting, $pair := $all }}
{{- if index $pair 1 }}
{{- $_ := set $found $setting (index $pair 1) }}
{{- else if index $pair 0 }}
{{- $_ := set $found $setting (dict "value" (index $pair 0)) }}
{{- end }}
{{- end }}
{{- if eq .for "run" }}
{{- range $setting, $source := $v.secretSettings }}
{{- $_ := set $found $setting $source }}
{{- end }}
{{- end }}
{{- toJson $found }}
{{- end }}

{{/* A setting's name as a file and as a key: STORE__URL is store-url. */}}
{{- define "catalog-mirror.secretName" -}}
{{- . | lower | replace "__" "-" | replace "_" "-" }}
{{- end }}

{{/* The data of the Secret that the chart makes; empty where every secret comes from elsewhere. */}}
{{- define "catalog-mirror.secretData" -}}
{{- range $setting, $source := include "catalog-mirror.secrets" . | fromJson }}
{{- if hasKey $source "value" }}
{{ include "catalog-mirror.secretName" $setting }}: {{ $source.value | toString | b64enc | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* What says to the service where its secrets lie. */}}
{{- define "catalog-mirror.secretEnv" -}}
{{- range $setting, $source := include "catalog-mirror.secrets" . | fromJson }}
- name: CATALOG_MIRROR_{{ $setting }}_FILE
  value: {{ $source.file | default (printf "/etc/catalog-mirror/secrets/%s" (include "catalog-mirror.secretName" $setting)) | quote }}
{{- end }}
{{- end }}

{{/* The volume that holds them, made of the chart's Secret (`secret`) and of those that exist. */}}
{{- define "catalog-mirror.secretSources" -}}
{{- $own := .secret }}
{{- range $setting, $source := include "catalog-mirror.secrets" . | fromJson }}
{{- if not $source.file }}
- secret:
    name: {{ $source.secret | default $own }}
    items:
      - key: {{ $source.key | default (include "catalog-mirror.secretName" $setting) }}
        path: {{ include "catalog-mirror.secretName" $setting }}
{{- end }}
{{- end }}
{{- end }}
