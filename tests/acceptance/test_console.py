"""The console of a running service, with a real broker and database and a catalog that it reads; and its pictures."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from playwright.async_api import expect

from sandbox.catalog.model import PocketCatalog
from sandbox.parts.process import free_port

if TYPE_CHECKING:
    from sandbox.parts.mirror import MirrorProcess
    from tests.browsing import Person

TOKEN = "dana-0123456789abcdef"
#: Columns of a table of people: data class, and the share without a value in the run before and now.
COLUMNS = {
    "EMAIL": ("Email Address", 0.02, 0.31), "PHONE": ("Phone Number", 0.05, 0.06), "COUNTRY": ("Country", 0.0, 0.0),
}  # fmt: skip


@dataclass
class Running:
    """A service with the console and its actions."""

    url: str
    rows: Any
    publish: Callable[..., Any]
    container: str


@pytest.fixture
def pocket() -> PocketCatalog:
    """Some assets with terms and columns."""
    return PocketCatalog(seed=1, assets=60)


@pytest.fixture
async def running(
    pocket: PocketCatalog, pocket_settings: dict[str, str], catalog: Any, amqp_url: str, postgres_url: str,
    mirror_process: Callable[..., MirrorProcess], tmp_path: Path, rows_of: Callable[[str], Any],
) -> AsyncIterator[Running]:  # fmt: skip
    """A service that has read the catalog and follows its broker."""
    tokens, port = tmp_path / "tokens.yaml", free_port()
    tokens.write_text(yaml.safe_dump({"dana": {"token": TOKEN, "scopes": ["read", "operate"]}}), encoding="utf-8")
    service = mirror_process(
        **pocket_settings, AMQP__URL=amqp_url, STORE__URL=postgres_url, HTTP__TOKENS_FILE=str(tokens),
        HTTP__ADMIN_PORT=str(port), RETENTION__PROFILES="90d",
    )  # fmt: skip
    async with service:
        await service.wait_ready()
        rows = rows_of(postgres_url)
        await rows.until("SELECT count(*) FROM sync_runs WHERE mode = 'snapshot' AND state = 'done'", 1)
        yield Running(f"http://127.0.0.1:{port}", rows, catalog.publish, pocket.container_ids("catalog")[0])


def table(asset_id: str, name: str, container: str) -> tuple[str, bytes]:
    """A table as the catalog tells of it."""
    columns = [{"name": column, "type": {"type": "varchar", "native_type": "VARCHAR(80)"}} for column in COLUMNS]
    metadata = {
        "asset_id": asset_id, "name": name, "asset_type": "data_asset", "catalog_id": container, "rov": {"mode": 0},
        "description": "Whoever bought something", "tags": ["crm"], "resource_key": f"0000:0000|/CRM/{name}",
    }  # fmt: skip
    state = {"metadata": metadata, "entity": {"data_asset": {"columns": columns}}}
    body = {"event": "UPDATE_ASSET", "published": _day(9), "state": state,
            "details": {"catalog_id": container, "asset_id": asset_id}}  # fmt: skip
    return f"v2.assets.{asset_id}.PATCH", json.dumps(body).encode()


def profiled(asset_id: str, container: str, run: int) -> tuple[str, bytes]:
    """A run of profiling that is finished; the second one is of this week."""
    columns = []
    for name, (klass, *shares) in COLUMNS.items():
        analysis = {"total_count": 20_000, "distinct_count": 9000, "null_count": round(20_000 * shares[run])}
        found = {"class_code": klass.upper().replace(" ", ""), "class_name": klass, "confidence": 0.9, "priority": 50}
        columns.append({"name": name, "value_analysis": analysis, "column_classification": found})
    execution = {"status": "finished", "dataflow_run_id": f"run-{run}"}
    at, profile_id = _day(8 - 7 * run), f"profile-{run}"
    state = {
        "metadata": {"guid": profile_id, "dataset_id": asset_id, "catalog_id": container, "created_at": at},
        "entity": {"data_profile": {"columns": columns, "execution": execution}},
    }
    body = {"event": "UPDATE_DATA_PROFILE", "published": at, "state": state,
            "details": {"profile_id": profile_id, "dataset_id": asset_id, "catalog_id": container}}  # fmt: skip
    return f"v2.data_profiles.{profile_id}.PATCH", json.dumps(body).encode()


def moved(number: int, source: str, target: str) -> tuple[str, bytes]:
    """A job that made one table of another."""
    body = {
        "message_version": "v1",
        "event_details": {"event_id": f"job-{number}", "event_type": "JOB_COMPLETED", "event_time": _day(1),
                          "event_source_service": "DataStage"},
        "uses_assets": [{"id": source}], "generates_assets": [{"id": target}],
    }  # fmt: skip
    return f"v2.lineage_events.job-{number}.POST", json.dumps(body).encode()


def planted(container: str) -> tuple[str, bytes]:
    """An event that cannot be used as it is: the id of the table is a number."""
    state = {"metadata": {"guid": "profile-9", "dataset_id": 4711, "catalog_id": container}}
    body = {
        "event": "UPDATE_DATA_PROFILE",
        "published": _day(0),
        "state": state,
        "details": {"profile_id": "profile-9"},
    }
    return "v2.data_profiles.profile-9.PATCH", json.dumps(body).encode()


def _day(ago: int) -> str:
    return (datetime.now(UTC) - timedelta(days=ago)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_somebody_new_finds_what_is_stuck_and_which_personal_data_became_emptier(
    running: Running, person: Callable[..., Any], picture: Callable[..., Any]
) -> None:
    for asset_id, name in (("crm-1", "CUSTOMERS"), ("crm-2", "CUSTOMERS_CLEAN"), ("crm-3", "MAILINGS")):
        await running.publish([table(asset_id, name, running.container)])
    for run in (0, 1):
        await running.publish([profiled("crm-1", running.container, run)])
        await running.rows.until("SELECT count(*) FROM profile_runs", run + 1)
    await running.publish([moved(1, "crm-1", "crm-2"), moved(2, "crm-2", "crm-3"), planted(running.container)])
    await running.rows.until("SELECT count(*) FROM dead_letters", 1)
    await running.rows.until("SELECT count(*) FROM v1_assets WHERE name = 'MAILINGS'", 1)

    dana: Person = await person(running.url)
    await dana.sign_in(TOKEN)
    await expect(dana.page.locator("#live-state")).to_have_text("Live.")
    await picture(dana, "overview")

    # What is stuck, and why? Mended in the page, by four clicks.
    await dana.click("link", "Look at them")
    await dana.click("link", (await running.rows.one("SELECT dead_letter_id FROM dead_letters"))[:12])
    await picture(dana, "dead-letter")
    body = dana.page.get_by_label("Body, to be mended")
    await body.fill((await body.input_value()).replace('"dataset_id": 4711', '"dataset_id": "crm-2"'))
    await dana.click("button", "Show what changes")
    await dana.click("button", "Save and replay")
    await expect(dana.page.get_by_role("status").first).to_have_text("1 replayed.")
    assert dana.clicks == 4
    assert await running.rows.one("SELECT count(*) FROM v1_data_profiles WHERE asset_id = 'crm-2'") == 1

    # Which tables with personal data became emptier this week?
    dana.clicks = 0
    await dana.click("link", "Changes")
    await dana.page.get_by_label("what").select_option("emptier")
    await dana.page.get_by_label("class", exact=True).fill("Email Address")
    await dana.click("button", "Show")
    (row,) = await dana.page.locator("tbody tr").all_inner_texts()
    assert [cell.strip() for cell in row.split("\t")][:6] == [
        "CUSTOMERS",
        "EMAIL",
        "Email Address",
        "emptier",
        "2%",
        "31%",
    ]
    assert dana.clicks == 2

    await dana.click("link", "CUSTOMERS")
    assert "What changed since the run before" in await dana.text()
    await picture(dana, "asset")
    await dana.click("link", "Draw it")
    await expect(dana.page.locator("#drawn")).to_contain_text("nodes")
    await picture(dana, "lineage")
    await dana.goto("/search?q=customer")
    assert "CUSTOMERS_CLEAN" in await dana.text()
    await picture(dana, "search")
    await dana.goto("/reading")
    assert "done" in await dana.text()
