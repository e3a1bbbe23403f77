"""No secret of our settings is in what the service or a command shows, whatever fails and whoever repeats it."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from sandbox.parts.mirror import MirrorProcess, environment_of
from sandbox.parts.process import free_port
from sandbox.serving import serving
from service.settings.model import Section, Settings, load


def planted(number: int) -> str:
    return f"pl4nted-{number:02d}-v4lue"


class Parrot:
    """Refuses every call, and says back all that it was told to sign in with, as it came and as it was meant."""

    def __init__(self) -> None:
        self.spans: list[bytes] = []
        self.asked: set[str] = set()

    async def answer(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.asked.add(request.path)
        if request.path == "/v1/traces":
            self.spans.append(body)
        signed = request.headers.get("Authorization", "")
        meant = base64.b64decode(signed[6:]).decode("utf-8", "replace") if signed.startswith("Basic ") else signed
        told = f"{signed} {meant.partition(':')[2]} {body.decode('utf-8', 'replace')}"
        if request.path == "/.well-known/openid-configuration":
            return web.json_response({"problem": told})
        return web.json_response({"error": "invalid_client", "error_description": told, "message": told}, status=401)


@pytest.fixture
async def parrot() -> AsyncIterator[tuple[str, Parrot]]:
    made = Parrot()
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", made.answer)
    async with serving(app, 0, "127.0.0.1") as url:
        yield url, made


def settings_with(url: str, folder: Path) -> dict[str, str]:
    """Settings in which each secret is a planted one, and of which nothing works."""
    place, s = url.removeprefix("http://"), map(planted, range(99))
    for name in ("token", "webhook", "tokens"):
        secret = next(s)
        signing = base64.b64encode(f"{secret}, long enough for it".encode()).decode()
        texts = {"webhook": f"whsec_{signing}", "tokens": f"ops:\n  token: {secret}\n  scopes: [read]\n"}
        (folder / name).write_text(texts.get(name, secret))
    data_source = {"data_sources": {"ds1": {"resourceName": "x", "password": next(s)}}}
    return {
        "AMQP__URL": f"amqp://u:{next(s)}@127.0.0.1:1/v", "AMQP__MANAGEMENT_URL": f"http://u:{next(s)}@{place}/manage",
        "AMQP__TOKEN_URL": f"{url}/token", "AMQP__TOKEN_CLIENT_ID": "us", "AMQP__TOKEN_CLIENT_SECRET": next(s),
        "STORE__URL": f"postgresql://u:{next(s)}@127.0.0.1:1/d",
        "STORE__MIGRATION_URL": f"postgresql://u:{next(s)}@127.0.0.1:1/d",
        "CATALOG__URL": url, "CATALOG__USERNAME": "us", "CATALOG__API_KEY": next(s), "CATALOG__PASSWORD": next(s),
        "USAGE__SALT": next(s), "HTTP__TOKENS_FILE": str(folder / "tokens"),
        "HTTP__OIDC_ISSUER": url, "HTTP__OIDC_AUDIENCE": "a", "HTTP__OIDC_CLIENT_ID": "us",
        "HTTP__OIDC_CLIENT_SECRET": next(s), "HTTP__OIDC_REDIRECT_URL": f"{url}/signin/done",
        "TRACES__ENDPOINT": url, "TRACES__HEADERS": f"Authorization={next(s)}", "TRACES__SAMPLED": "1",
        "TARGETS__OPENLINEAGE__URL": url, "TARGETS__OPENLINEAGE__TOKEN": next(s),
        "TARGETS__OPENLINEAGE__VIA": "rest",
        "TARGETS__WEBHOOK__URL": url, "TARGETS__WEBHOOK__TOKEN_FILE": str(folder / "token"),
        "TARGETS__WEBHOOK__SECRET_FILE": str(folder / "webhook"),
        "TARGETS__PENTAHO__URL": url, "TARGETS__PENTAHO__USERNAME": "us", "TARGETS__PENTAHO__PASSWORD": next(s),
        "TARGETS__PENTAHO__OPTIONS": json.dumps(data_source),
    }  # fmt: skip


def shown_in(places: dict[str, str]) -> list[tuple[str, str]]:
    forms = {
        form for n in range(30) for form in (planted(n), base64.b64encode(planted(n).encode()).decode().rstrip("="))
    }
    return [(place, form) for place, text in places.items() for form in forms if form in text]


def test_every_secret_of_the_settings_is_planted(tmp_path: Path) -> None:
    set_here = settings_with("http://h", tmp_path)
    for section, told in Settings.model_fields.items():
        model: Any = told.annotation
        if isinstance(model, type) and issubclass(model, Section):
            for name, field in model.model_fields.items():
                if "SecretStr" in str(field.annotation):
                    assert f"{section}__{name}".upper() in set_here


def test_settings_are_written_out_without_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in settings_with("http://h", tmp_path).items():
        monkeypatch.setenv(f"CATALOG_MIRROR_{name}", value)
    settings = load()
    pieces = [settings, *(getattr(settings, name) for name in Settings.model_fields), *settings.targets.values()]
    written = {
        f"{type(piece).__name__} {way}": text
        for piece in pieces if not isinstance(piece, dict)
        for way, text in (
            ("repr", repr(piece)), ("str", f"{piece}"), ("dump", str(piece.model_dump())),
            ("json", piece.model_dump_json()),
        )
    }  # fmt: skip
    assert shown_in(written | {"targets": repr(settings.targets)}) == []


async def test_nothing_that_is_shown_while_everything_fails_has_one(
    parrot: tuple[str, Parrot], tmp_path: Path, sqlite_url: str, mirror_process: Callable[..., MirrorProcess],
    run_command: Callable[..., Any],
) -> None:  # fmt: skip
    url, refusing = parrot
    broken = settings_with(url, tmp_path)
    port = free_port()
    api = f"http://127.0.0.1:{port}"
    with_store = broken | {"STORE__URL": sqlite_url, "LOG__LEVEL": "debug", "HTTP__API_PORT": str(port)}
    del with_store["STORE__MIGRATION_URL"]
    shown = {}
    async with mirror_process(**with_store) as service:
        await service.wait_for(lambda _, body: any("broker" in str(reason) for reason in body["reasons"]))
        for path in ("/readyz", "/metrics", "/livez"):
            shown[path] = str((await service.get(path))[1])
        for headers in ({}, {"Authorization": f"Bearer {planted(2)}"}, {"Authorization": f"Bearer {planted(3)}"}):
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{api}/api/v1/search?q=x", headers=headers) as said,
            ):
                shown[f"API {said.status}"] = await said.text()
        while "/v1/traces" not in refusing.asked:
            await asyncio.sleep(0.05)
        for words in (("doctor",), ("targets", "list", "--json")):
            shown[" ".join(words)] = await run_command(*words, expect=None, **with_store)
        await service.terminate()
    del broken["AMQP__TOKEN_URL"]
    wrong = broken | {"STORE__URL": f"postgresql://u:{planted(4)}@127.0.0.1:x/d"}
    for line, settings in (("doctor", broken), ("db upgrade", broken), ("run", wrong)):
        shown[f"{line}, without a store"] = await run_command(*line.split(), expect=None, **settings)
    shown["log"] = service.log_text()
    shown["spans"] = b"".join(refusing.spans).decode("latin-1")
    assert {"/token", "/icp4d-api/v1/authorize", "/v1/traces"} <= refusing.asked
    assert shown_in(shown) == []


def test_what_nobody_expected_is_reported_without_what_the_functions_held(tmp_path: Path) -> None:
    """A traceback that is logged, and one that ends a command: lines of code, no values."""
    program = """
import structlog, service.operations.doctor as doctor
from service.settings.model import LogSettings
from service.telemetry.logs import configure_logging

def findings(settings, *_):
    held = settings.catalog.api_key.get_secret_value()
    try:
        raise RuntimeError("nobody expected this")
    except RuntimeError:
        for form in ("json", "console"):
            configure_logging(LogSettings(format=form))
            structlog.get_logger("x").exception("unexpected")
        raise

doctor.findings = findings
from service.cli import main
main()
"""
    environment = environment_of(settings_with("http://127.0.0.1:1", tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", program, "doctor"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stderr.count("nobody expected this") == 3
    assert shown_in({"crash": done.stdout + done.stderr}) == []
