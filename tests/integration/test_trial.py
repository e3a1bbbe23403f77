"""A trial tells who kills: by a signal, by leaving, by filling memory, by never coming back; and who does not."""

import time
from pathlib import Path

import pytest

from service.events.message import Message
from service.pipeline.building import router_of
from service.pipeline.decoding import Decoder
from service.pipeline.trial import survives
from service.settings.model import Settings
from service.settings.scope import Scope

#: Handlers of somebody else's.
MODULE = """
import os
import signal

from service.pipeline.routing import Evidence, handles


@handles("v2.trial.*", evidence=Evidence.ASSUMED)
def on_trial(event):
    what = event.words[2]
    if what == "signal":
        os.kill(os.getpid(), signal.SIGSEGV)
    if what == "exit":
        os._exit(3)
    if what == "memory":
        kept = []
        while True:
            kept.append(bytes(16 * 1024 * 1024))
    if what == "loop":
        while True:
            pass
    if what == "error":
        raise ValueError("a bug, not a death")
    return ()
"""


@pytest.fixture
def decoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Decoder:
    (tmp_path / "trial_handler.py").write_text(MODULE)
    metadata = tmp_path / "trial_handler-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: trial-handler\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text("[catalog_mirror.handlers]\ntrial = trial_handler\n")
    monkeypatch.syspath_prepend(tmp_path)  # which a spawned process is given too
    settings = Settings()
    return Decoder(router_of(settings), settings.pipeline, "us", Scope(settings.scope), verifies_hints=True)


@pytest.mark.parametrize("what", ["signal", "exit", "memory"])
async def test_what_kills_the_process_that_reads_it_is_found(decoder: Decoder, what: str) -> None:
    assert not await survives(decoder, Message(f"v2.trial.{what}", b"{}"), 60)


async def test_a_trial_that_cannot_be_held_blames_nobody(decoder: Decoder) -> None:
    decoder._router = lambda: None  # type: ignore[assignment]
    assert await survives(decoder, Message("v2.trial.signal", b"{}"), 60)


async def test_what_never_comes_back_is_given_up(decoder: Decoder) -> None:
    began = time.monotonic()
    assert not await survives(decoder, Message("v2.trial.loop", b"{}"), 5)
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("message", [("v2.trial.well", b"{}"), ("v2.trial.error", b"{}"), ("v2.trial.x", b"\xff{")])
async def test_what_only_fails_is_left_to_the_pipeline(decoder: Decoder, message: tuple[str, bytes]) -> None:
    assert await survives(decoder, Message(*message), 60)
