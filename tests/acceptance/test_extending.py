"""The five steps of docs/extending.md, followed in a scratch package."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import catalog_mirror
from sandbox.parts.mirror import MirrorProcess

PAGE = Path(__file__).parents[2] / "docs" / "extending.md"
_FILE = re.compile(r"^`([\w/.]+)`:\n\n```\w+\n(.*?)^```", re.M | re.S)


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The scratch package, and where it was installed: beside us, not into this environment."""
    package, site = tmp_path_factory.mktemp("my-mirror"), tmp_path_factory.mktemp("site")
    files = dict(_FILE.findall(PAGE.read_text(encoding="utf-8")))
    assert len(files) == 4
    for name, text in files.items():
        (package / name).parent.mkdir(exist_ok=True)
        (package / name).write_text(text, encoding="utf-8")
    (package / "my_mirror" / "__init__.py").touch()
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*pip, "--disable-pip-version-check", "--target", site, package], check=True)
    return package, site


def test_its_own_test_passes(installed: tuple[Path, Path]) -> None:
    package, site = installed
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"],
        cwd=package, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


async def test_its_handler_and_its_target_are_found_and_do_their_work(
    installed: tuple[Path, Path],
    catalog: Any,
    profile_event: Callable[..., tuple[str, bytes]],
    amqp_url: str,
    sqlite_url: str,
    tmp_path: Path,
    rows_of: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(installed[1]))
    journal = tmp_path / "journal.ndjson"
    service = MirrorProcess(
        tmp_path / "service.log", AMQP__URL=amqp_url, STORE__URL=sqlite_url,
        TARGETS__JOURNAL__OPTIONS=json.dumps({"path": str(journal)}),
    )  # fmt: skip
    async with service:
        await service.wait_ready()
        await catalog.publish([("quality.checks.a1.done", b"{}"), profile_event(1)])
        rows = rows_of(sqlite_url)
        await rows.until("SELECT count(*) FROM refreshes WHERE entity_id = 'a1' AND reason = 'quality_check'", 1)
        await rows.until("SELECT count(*) FROM data_profiles", 1)
        await rows.until("SELECT count(*) FROM deliveries WHERE target = 'journal'", 0)
        assert await service.terminate() == 0
    assert [json.loads(line) for line in journal.read_text().splitlines()] == [{"what": "ProfileSaved", "id": "p1"}]


#: The same package as 0.1 had it documented.
WRITTEN_BEFORE = {
    "my_mirror/quality.py": """
from collections.abc import Iterator

from service.changes import Change, RefreshAsked
from service.events.message import Event
from service.routing import Evidence, handles


@handles("quality.checks.*.done", evidence=Evidence.OBSERVED)
def asset_checked(event: Event) -> Iterator[Change]:
    yield RefreshAsked("asset", event.words[2], reason="quality_check")
""",
    "my_mirror/journal.py": """
from service.changes import Change, Origin, ProfileDeleted, ProfileSaved
from service.errors import MirrorError, TargetUnavailable
from service.mirror.deliveries import Delivery
from service.settings import Settings
from service.targets.base import Target


class Journal(Target):
    @classmethod
    def create(cls, name: str, settings: Settings) -> "Journal | None":
        return cls(name, settings.target(name).origins)

    async def deliver(self, batch):
        return [None] * len(batch)
""",
}


def test_a_package_that_was_written_before_works_for_one_more_version(tmp_path: Path) -> None:
    for name, text in WRITTEN_BEFORE.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    script = (
        "from my_mirror.quality import asset_checked\n"
        "from my_mirror.journal import Journal\n"
        "from catalog_mirror import Event, RefreshAsked, Settings\n"
        "assert list(asset_checked.run(Event.of('quality.checks.a1.done', {}))) "
        "== [RefreshAsked('asset', 'a1', reason='quality_check')]\n"
        "assert Journal.create('journal', Settings()).name == 'journal'\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always::DeprecationWarning", "-c", script],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "`from catalog_mirror import Evidence, handles` instead" in done.stderr
    assert "`from catalog_mirror import Settings` instead" in done.stderr


def test_everything_that_is_exported_says_what_it_is_for() -> None:
    undescribed = [name for name in catalog_mirror.__all__ if not (getattr(catalog_mirror, name).__doc__ or "").strip()]
    assert undescribed == []
