"""The calls in the documents work as they stand there, and every call that acts is among them."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import SecretStr

from service.events.message import Message
from service.http.admin import openapi
from service.settings.model import CatalogSettings, TargetSettings
from tests.integration.admin.conftest import TOKENS

if TYPE_CHECKING:
    from tests.integration.admin.conftest import Served
    from tests.integration.conftest import Mirror

DOCS = Path(__file__).parents[3] / "docs"
_BLOCK = re.compile(r"^```curl\n(.*?)^```", re.M | re.S)
PAGES = [page for page in sorted(DOCS.glob("*.md")) if _BLOCK.search(page.read_text(encoding="utf-8"))]


def test_operations_and_runbook_show_calls() -> None:
    assert {page.name for page in PAGES} >= {"operations.md", "runbook.md"}


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
async def test_every_call_of_a_page_works(page: Path, served: Served, mirror: Mirror) -> None:
    await mirror.take(Message("v2.data_profiles.p1.PATCH", b"nul"))
    script = "\n".join(_BLOCK.findall((DOCS / "operations.md").read_text(encoding="utf-8"))[:1])
    script += "\n".join(_BLOCK.findall(page.read_text(encoding="utf-8")))
    targets = {"pentaho": TargetSettings(url="http://127.0.0.1:1", token=SecretStr("token"))}
    catalog = CatalogSettings(url="http://127.0.0.1:1", api_key=SecretStr("key"))
    async with served(catalog=catalog, targets=targets) as admin:
        environment = {**os.environ, "ADMIN": admin.url, "TOKEN": TOKENS["dana"], "no_proxy": "127.0.0.1"}
        process = await asyncio.create_subprocess_exec(
            "bash", "-euo", "pipefail", "-c", script, env=environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()


def test_every_call_stands_beside_the_command_that_does_the_same() -> None:
    page = (DOCS / "operations.md").read_text(encoding="utf-8")
    shown = set(re.findall(r"`(GET|POST) (/api/admin/[^`?]+)`", page))
    assert shown == {(call.method, call.path) for call in openapi.CALLS}


def test_every_command_is_a_call_or_has_a_reason_why_it_is_none() -> None:
    section = (DOCS / "operations.md").read_text(encoding="utf-8").partition("\n## By HTTP\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?) \| (.+) \|$", section, re.M)
    named = [name.partition(" --")[0] for commands, _ in rows for name in re.findall(r"`(\w[^`]*)`", commands)]
    every = re.findall(r"^## catalog-mirror (.+)$", (DOCS / "commands.md").read_text(encoding="utf-8"), re.M)
    assert sorted({*named}) == sorted(every)
    assert sorted(named) == sorted([*every, "snapshot"]), "each once; the options of a snapshot are calls of their own"
