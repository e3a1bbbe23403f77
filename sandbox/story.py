"""The demo's story: a small company profiles its customers, publishes them, and makes the usual mistakes.

Every name and value is made up. Each step says what it shows; `EXPECTED` is what the mirror must hold at the end.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

CATALOG, PROJECT = "catalog-retail", "project-onboarding"
CUSTOMERS, CUSTOMERS_DRAFT, ORDERS, OLD_EXPORT = "customers", "customers-draft", "orders", "export-2019"
#: A secret that one of the events carries in clear; it must not be found anywhere afterwards.
SECRET = "correct-horse-battery-staple"


@dataclass(frozen=True, slots=True)
class Step:
    """One message, and what it shows."""

    shows: str
    routing_key: str
    body: bytes


def _profile(
    shows: str, action: str, profile: str, data_set: str, published: str, container: tuple[str, str], **state: Any
) -> Step:
    kind, where = container
    body = {
        "event": {"POST": "CREATE_DATA_PROFILE", "PATCH": "UPDATE_DATA_PROFILE", "DELETE": "DELETE_DATA_PROFILE"}[
            action
        ],
        "actor": {"user_name": "dana@example.com"},
        "published": published,
        "url": f"https://catalog.example.com/v2/data_profiles/{profile}",
        "status_code": 201 if action == "POST" else 200,
        "state": {
            "metadata": {"guid": profile, "asset_id": profile, "dataset_id": data_set, f"{kind}_id": where},
            "entity": {
                "data_profile": {
                    "options": {"max_row_count": 5000, "max_distribution_size": 100.0},
                    "execution": {"status": state.pop("status", "none")},
                    "columns": state.pop("columns", []),
                }
            },
            **state,
        },
        "details": {f"{kind}_id": where, "dataset_id": data_set, "profile_id": profile, "is_governed": False},
    }
    return Step(shows, f"v2.data_profiles.{profile}.{action}", json.dumps(body).encode())


def _lineage(
    shows: str, event_id: str, event_time: str, used: tuple[str, str, str], made: tuple[str, str, str]
) -> Step:
    def asset(relation: str, data_set: str, kind: str, where: str) -> dict[str, Any]:
        value = {"id": data_set, "name": data_set.replace("-", " "), f"{kind}_id": where}
        return {
            "id": data_set,
            "asset_type": "DataSet",
            "relation": {"name": relation},
            "properties": {"dataset": {"type": "dataset", "value": value}},
        }

    body = {
        "message_version": "v1",
        "user_id": "IBMid-000000DEMO",
        "account_id": "999",
        "event_details": {
            "event_id": event_id,
            "event_type": "DATASET_PUBLISHED",
            "event_category": ["additions"],
            "event_time": event_time,
            "event_source_service": "Demo Catalog",
        },
        "uses_assets": [asset("Used", *used)],
        "generates_assets": [asset("Created", *made)],
    }
    return Step(shows, f"v2.lineage_events.{event_id}.POST", json.dumps(body).encode())


_IN_CATALOG, _IN_PROJECT = ("catalog", CATALOG), ("project", PROJECT)
_COLUMNS = [{"name": "id"}, {"name": "email"}, {"name": "password"}]


def _found(**without_value: int) -> list[dict[str, Any]]:
    """What a run finds of each column of 1,204 rows: how many have no value, and the first and last of the others."""
    return [
        {
            **column,
            "value_analysis": {
                "total_count": 1204, "distinct_count": 1180, "null_count": without_value.get(column["name"], 0),
                "min_string": "anna@example.com", "max_string": "zoe@example.com",
            },
        }
        for column in _COLUMNS
    ]  # fmt: skip


STEPS = [
    _profile("a profile is created", "POST", "profile-1", CUSTOMERS_DRAFT, "2026-05-10T15:04:15Z", _IN_PROJECT),
    _profile(
        "its run is finished", "PATCH", "profile-1", CUSTOMERS_DRAFT, "2026-05-10T15:06:40Z", _IN_PROJECT,
        status="finished", columns=_COLUMNS, rows=1204,
    ),
    _profile(
        "an older update comes late: it changes nothing", "PATCH", "profile-1", CUSTOMERS_DRAFT,
        "2026-05-10T15:05:00Z", _IN_PROJECT, status="running",
    ),
    _lineage(
        "the draft is published to the catalog", "publish-1", "2026-05-10T15:10:00.250Z",
        (CUSTOMERS_DRAFT, "project", PROJECT), (CUSTOMERS, "catalog", CATALOG),
    ),
    _profile(
        "the published copy is profiled; somebody left a password in it", "POST", "profile-2", CUSTOMERS,
        "2026-05-10T15:12:30Z", _IN_CATALOG, status="finished", columns=_found(email=12), rows=1204,
        connection={"host": "db.example.com", "password": SECRET},
    ),
    _profile(
        "a day later it is profiled again: a third of the e-mail addresses is gone", "PATCH", "profile-2", CUSTOMERS,
        "2026-05-11T15:12:30Z", _IN_CATALOG, status="finished", columns=_found(email=410), rows=1204,
    ),
    _lineage(
        "orders are made from customers", "publish-2", "2026-05-10T16:00:00Z",
        (CUSTOMERS, "catalog", CATALOG), (ORDERS, "catalog", CATALOG),
    ),
    Step(
        "an enrichment area; its body is not documented, so it is kept as it is",
        "v2.metadata_enrichment.area-7.create_enrichment_area",
        json.dumps({"assets": [CUSTOMERS, ORDERS]}).encode(),
    ),
    Step(
        "the search index says that an old export was deleted",
        "v3.gss.cams.assets.action",
        json.dumps(
            {
                "provider_type_id_list": ["cams"],
                "artifact_guid": OLD_EXPORT,
                "last_updated_at": 1.7784288e12,
                "message_type": "DELETE_MESSAGE",
                "tenant_id_list": ["999"],
            }
        ).encode(),
    ),
    Step("a body that is cut off: a dead letter", "v2.data_profiles.profile-9.POST", b'{"event": "CRE'),
]  # fmt: skip
#: The broker may give the same message out twice; the story does.
REPEATED_STEP = replace(STEPS[1], shows="a message that was given out twice: it changes nothing")

#: What the mirror must hold at the end of the story.
EXPECTED = {
    "profiles": {"profile-1": "finished", "profile-2": "finished"},
    "assets": {CUSTOMERS, CUSTOMERS_DRAFT, ORDERS},
    "deleted_assets": {OLD_EXPORT},
    "enrichment_areas": {"area-7"},
    "foreign_lineage_events": {"publish-1", "publish-2"},
    #: One answer per distinct profile event, late ones too.
    "own_lineage_events": 5,
    "emptier": {"email"},
    #: What the first profile was before, the state that came late included.
    "before": {"none", "running"},
    #: Smallest and largest texts are values of people's tables.
    "hidden": {"[redacted]"},
    "dead_letters": 1,
}
