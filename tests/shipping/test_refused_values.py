"""Values that cannot work are refused before anything is made."""

from pathlib import Path

import pytest

from sandbox import chart
from sandbox.chart import Refused

SETS = chart.VALUE_SETS


@pytest.mark.parametrize(
    ("values", "settings", "says"),
    [
        (None, (), "/store"),
        (None, ("catalog.url=https://x",), "/store/url"),
        (None, ("store.url=postgresql://x/y",), "/amqp/url"),
        (None, ("store.url=mysql://x", "catalog.url=https://x"), "does not match pattern"),
        (SETS["small"], ("replicaCount=2",), "/replicaCount"),
        (SETS["small"], ("autoscaling.enabled=true",), "/autoscaling/enabled"),
        (SETS["small"], ("persistence.enabled=false",), "/persistence/enabled"),
        (SETS["small"], ("migrations.mode=hook",), "/migrations/mode"),
        (SETS["small"], ("store.url=sqlite:////tmp/mirror.db",), "does not match pattern"),
        (SETS["small"], ("mode=sidecar",), "/mode"),
        (SETS["small"], ("store.ulr=x",), "additional properties 'ulr' not allowed"),
        (SETS["small"], ("settings.STORE__URL=x",), "STORE__URL"),
        (SETS["small"], ("settings.poll=20",), "poll"),
        (SETS["small"], ("resources.limits.memory=null",), "memory"),
        (SETS["small"], ("ports.probes=80",), "/ports/probes"),
        (SETS["sidecar"], ("migrations.mode=init",), "/migrations/mode"),
        (SETS["sidecar"], ("autoscaling.enabled=true",), "/autoscaling/enabled"),
        (SETS["sidecar"], ("sidecar.podLabels=null",), "/sidecar"),
        (SETS["large"], ("amqp.urlFrom=null", "amqp.url="), "/amqp"),
        (SETS["large"], ("monitoring.rules.runbookUrl=",), "/monitoring/rules/runbookUrl"),
        (SETS["large"], ("store.urlFrom.file=/x",), "/store/urlFrom"),
        (SETS["large"], ("ca.secret=both",), "/ca/configMap"),
        (SETS["large"], ("amqp.certificateFrom.secret=null",), "/amqp/certificateFrom"),
        (SETS["sidecar"], ("amqp.certificateFrom.secret=x",), "/amqp/certificateFrom"),
        (SETS["sidecar"], ("store.certificateFrom.secret=x",), "/store/certificateFrom"),
        (SETS["large"], ("image.digest=latest",), "/image/digest"),
        (SETS["large"], ("api.oidcIssuer=https://id.example.com",), "/api/oidcAudience"),
        (SETS["large"], ("api.admin.service=true",), "/api/admin/enabled"),
        (SETS["small"], ("api.admin.enabled=true",), "/api/tokens"),
        (SETS["sidecar"], ("api.tokens=x", "api.admin.enabled=true", "api.admin.service=true"), "/mode"),
    ],
)
def test_values_that_cannot_work_are_refused(values: Path | None, settings: tuple[str, ...], says: str) -> None:
    with pytest.raises(Refused) as refused:
        chart.render(values, *settings)
    assert says in str(refused.value)
