"""Which traces there are: none, or those that a collector is told of."""

from __future__ import annotations

from service.errors import SettingInvalid
from service.settings.model import TracesSettings
from service.telemetry.metrics import Metrics
from service.telemetry.traces import OFF, Traces


def traces_of(settings: TracesSettings, metrics: Metrics) -> Traces:
    """As settings say; the libraries of OpenTelemetry are imported only where they name a collector.

    Raises:
        SettingInvalid: they name one, and the extra is not installed; or certificates or headers cannot be used.
    """
    if settings.endpoint is None:
        return OFF
    try:
        from service.telemetry.exporting import Exporting
    except ModuleNotFoundError as missing:
        if not (missing.name or "").startswith("opentelemetry"):
            raise
        problem = "traces need the extra `otel`: pip install 'catalog-mirror[otel]'"
        raise SettingInvalid(setting="CATALOG_MIRROR_TRACES__ENDPOINT", problem=problem) from None
    return Exporting(settings, metrics.traces_dropped)
