"""The supervisor: it never ends before it is told to, whatever becomes of the service."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

#: A service that says when it starts and when it is told to stop.
SERVICE = """
import signal, sys, time
out = open({log!r}, "a", buffering=1)
signal.signal(signal.SIGTERM, lambda *_: (print("told", file=out), sys.exit(0)))
print("started", file=out)
{body}
"""
SUPERVISOR = """
import sys
from service.process.supervisor import Supervisor
Supervisor([sys.executable, "-c", {service!r}], is_alive=lambda: {alive}, look_s=0.05, pause_s=0.01).run()
"""


@contextmanager
def supervised(tmp_path: Path, body: str, alive: str = "True") -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    log = tmp_path / "said"
    log.touch()
    service = SERVICE.format(log=str(log), body=body)
    program = SUPERVISOR.format(service=service, alive=alive)
    with subprocess.Popen([sys.executable, "-c", program], stderr=subprocess.PIPE) as process:
        try:
            yield log, process
        finally:
            process.kill()


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90  # a start takes ten seconds where much else is at work
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("ends_with", [0, 2])
def test_a_service_that_ended_is_started_again(tmp_path: Path, ends_with: int) -> None:
    with supervised(tmp_path, f"sys.exit({ends_with})") as (log, process):
        until(lambda: log.read_text().count("started") >= 3)
        assert process.poll() is None


def test_a_service_that_no_longer_lives_is_told_to_stop_and_started_again(tmp_path: Path) -> None:
    alive = "not hasattr(sys, 'asked') and setattr(sys, 'asked', True) is None"  # once, and then never
    with supervised(tmp_path, "time.sleep(60)", alive) as (log, _):
        until(lambda: "started\ntold\nstarted" in log.read_text())


def test_a_service_that_never_answered_is_given_time(tmp_path: Path) -> None:
    with supervised(tmp_path, "time.sleep(0.8); sys.exit()", alive="False") as (log, _):
        until(lambda: log.read_text().count("started") == 2)
        assert "told" not in log.read_text()


def test_being_told_to_stop_is_passed_on_and_ends_it(tmp_path: Path) -> None:
    with supervised(tmp_path, "time.sleep(60)") as (log, process):
        until(lambda: "started" in log.read_text())
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert log.read_text() == "started\ntold\n"


def test_a_service_whose_settings_cannot_be_used_does_not_end_the_container(tmp_path: Path) -> None:
    environment = {**os.environ, "CATALOG_MIRROR_AMQP__URL": "not-a-url"}
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "service.process.supervisor"], env=environment, stderr=log)
    try:
        until(lambda: (tmp_path / "log").read_text().count('"service_ended"') >= 2)
        assert process.poll() is None
        assert "amqp:// or amqps://" in (tmp_path / "log").read_text(), "and what is wrong is in its log"
    finally:
        process.terminate()
        assert process.wait(30) == 0
