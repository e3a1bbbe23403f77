{{/*
The sidecar, for a pod of your own. In a chart that depends on this one:

  initContainers:
    - {{ include "catalog-mirror.sidecar.native" (index .Subcharts "catalog-mirror") | nindent 6 | trim }}
  volumes:
    {{- include "catalog-mirror.sidecar.volumes" (index .Subcharts "catalog-mirror") | nindent 4 }}

It has no startup probe, no readiness probe and no hook, so it gates neither the pod's start nor its readiness; and it
never ends by itself, since a container that has ended makes its pod unready: the supervisor inside starts the service
again when that ended or no longer lives. So it needs no liveness probe either.
*/}}

{{/* An ordinary container: for Kubernetes before 1.29, and for RSI. */}}
{{- define "catalog-mirror.sidecar.container" -}}
name: catalog-mirror
command: [python, -m, service.process.supervisor]
{{ include "catalog-mirror.body" . | trim }}
{{- end }}

{{/* A native sidecar container, to stand among the initContainers: it ends after the pod's own containers. */}}
{{- define "catalog-mirror.sidecar.native" -}}
{{ include "catalog-mirror.sidecar.container" . }}
restartPolicy: Always
{{- end }}

{{/* Its volumes. Files can be read by any user: whom the pod runs as is not ours to say. */}}
{{- define "catalog-mirror.sidecar.volumes" -}}
{{- include "catalog-mirror.secretVolume" (dict "root" . "for" "run" "secret" (include "catalog-mirror.fullname" .) "mode" 0444) | trim }}
{{ include "catalog-mirror.volumes" . }}
{{- end }}
