"""Real neighbours of the mirror, which `make neighbours` runs: producers, receivers, brokers, vendors' clients.

They are no part of `make test`: they install what takes minutes. Each test says by its mark who is tried and at what,
and learns the version from the real thing; at the end there is one table of all of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from sandbox.parts.mirror import MirrorProcess
from tests.fixtures import Rows
from tests.neighbours.environments import Environment, EnvironmentMissing, environment
from tests.neighbours.table import MARK, NEIGHBOUR, TRIED, VERSION, printed
from tests.neighbours.whole import Mirror

#: Seconds that one test may take, with the making of its environment.
_PATIENCE_S = 900


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record", type=Path, help="keep the events that producers sent in this folder, a file for each test"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        mark = item.get_closest_marker(MARK)
        if mark is None:
            raise pytest.UsageError(f"{item.nodeid} says not whom it tries: mark it with neighbour(NAME, TRIED).")
        name, tried = mark.args
        item.user_properties += [(NEIGHBOUR, name), (TRIED, tried)]
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(_PATIENCE_S))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    yield
    if not any(name == VERSION for name, _ in item.user_properties):
        pytest.fail("It did not say which version was tried: call tried(VERSION).", pytrace=False)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    stats = terminalreporter.stats.values()
    reports = [report for found in stats for report in found if isinstance(report, pytest.TestReport)]
    if lines := printed(reports):
        terminalreporter.section("neighbours")
        terminalreporter.write_line("\n".join(lines))


@pytest.fixture
def tried(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Tells the version that is tried, read from the real thing, for the table at the end."""
    return lambda version: request.node.user_properties.append((VERSION, version))


@pytest.fixture(scope="session")
def installed(do_without: Callable[[Exception], NoReturn]) -> Callable[[str], Environment]:
    """The environment of a name (`requirements/NAME.txt`); one that cannot be made skips here and fails in CI."""

    def of(name: str) -> Environment:
        try:
            return environment(name)
        except EnvironmentMissing as missing:
            do_without(missing)

    return of


@pytest.fixture
async def mirror(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    postgres_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[[str], Rows],
    run_command: Callable[..., Awaitable[str]],
) -> AsyncIterator[Mirror]:
    """A running mirror on PostgreSQL that lives on what is posted to it."""
    made = Mirror(tmp_path, postgres_url, rows_of(postgres_url), run_command)
    async with mirror_process(**made.settings) as service:
        await service.wait_ready()
        yield made
        if folder := request.config.getoption("--record"):
            await made.record(folder / f"{request.node.path.stem}.{request.node.name}.ndjson")
