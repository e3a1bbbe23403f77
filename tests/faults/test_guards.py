"""Every guard is taken out once, in a copy of the code, and a named test has to fail for it."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COPIED = ("service", "handlers", "sandbox", "tests", "pyproject.toml")


@dataclass(frozen=True, slots=True)
class Guard:
    """One guard: the lines that make it, what is there without it, and the test that sees that."""

    name: str
    file: str
    cuts: tuple[tuple[str, str], ...]
    test: str


COMMIT = "outcome = await self._pipeline.commit(reads, Origin.LIVE, braked=True, alone=batch.alone)"
ACK = "await channel.basic_ack(batch.last_tag, multiple=True)"

GUARDS = (
    Guard(
        "ack after commit",
        "service/amqp/consumer.py",
        ((f"{COMMIT}\n            {ACK}", f"{ACK}\n            {COMMIT}"),),
        "test_postgres.py::test_a_lock_that_somebody_holds_for_longer_than_we_wait",
    ),
    Guard(
        "rehearsal",
        "service/amqp/consumer.py",
        (("rehearse(self._not_taken)", "rehearse([])"),),
        "test_deliveries.py::test_a_table_lock_that_outlasts_many_timeouts_costs_no_event",
    ),
    Guard(
        "version guard",
        "service/mirror/bulk.py",
        (
            ("condition = insert.excluded.version > self.table.c.version", "condition = sa.true()"),
            ("there.c.version >= incoming.c.version", "there.c.version == incoming.c.version"),
        ),
        "test_replicas.py::test_replicas_that_race_on_the_same_things_end_in_the_newest_state_of_each",
    ),
    Guard(
        "bisect",
        "service/pipeline/committing.py",
        (("suspects=suspects, split=True)", "suspects=suspects, split=False)"),),
        "test_store.py::test_a_row_that_the_store_refuses_hurts_only_itself",
    ),
    Guard(
        "watchdog",
        "service/amqp/watchdog.py",
        (("self._consumer.restart(what)", "pass"),),
        "test_link.py::test_a_consumer_that_gets_nothing_while_messages_lie_ready_is_noticed_and_made_anew",
    ),
    Guard(
        "outbox",
        "service/pipeline/committing.py",
        (
            (
                "created = await deliveries.create(connection, store, free, lease)",
                "created = {delivery.delivery_id for delivery in free}",
            ),
        ),
        "test_lineage_back.py::test_unroutable_lineage_waits_and_goes_out_once_somebody_binds",
    ),
    Guard(
        "lease",
        "service/mirror/deliveries.py",
        (("free = sa.or_(deliveries.c.lease_until.is_(None), deliveries.c.lease_until < now)", "free = sa.true()"),),
        "test_replicas.py::test_what_a_crashed_replica_had_leased_is_delivered_by_another",
    ),
    Guard(
        "suspect",
        "service/pipeline/pipeline.py",
        (("SUSPECT_LIMIT = 3", "SUSPECT_LIMIT = 1000"), ("HOPELESS_LIMIT = 6", "HOPELESS_LIMIT = 1000")),
        "test_poison.py::test_an_event_that_kills_the_process_becomes_a_dead_letter_and_no_innocent_does",
    ),
    Guard(
        "brake",
        "service/pipeline/brake.py",
        (("if failure and sum(window) > self._failures:", "if False:"),),
        "test_poison.py::test_a_flood_of_unreadable_events_pulls_the_brake_and_a_person_lifts_it",
    ),
    Guard(
        "two witnesses",
        "service/sync/deleting.py",
        (("if kind.has_second_witness and may:", "if False:"),),
        "test_deletions.py::test_an_artifact_is_gone_only_where_a_list_and_a_reading_by_its_type_say_so",
    ),
    Guard(
        "ledger of jobs",
        "service/targets/pentaho/ledger.py",
        (
            (
                "_jobs.created_at >= deliveries.c.created_at,",
                "_jobs.created_at >= deliveries.c.created_at, _jobs.pentaho_job_id.is_(None),",
            ),
        ),
        "test_pentaho.py::test_a_killed_service_loses_no_job_and_doubles_none_whose_answer_arrived",
    ),
)


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_without_this_guard_its_test_fails(guard: Guard, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    for name in COPIED:
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, _made(copy) / name)
    assert _outcome(copy, guard.test) == (True, "1 passed"), "in the copy it passes"
    mutated = copy / guard.file
    text = mutated.read_text(encoding="utf-8")
    for there, instead in guard.cuts:
        assert text.count(there) == 1, f"{there!r} is not in {guard.file} once: name the guard's lines anew"
        text = text.replace(there, instead)
    mutated.write_text(text, encoding="utf-8")
    assert _outcome(copy, guard.test) == (False, "1 failed")


def _made(directory: Path) -> Path:
    directory.mkdir(exist_ok=True)
    return directory


def _outcome(copy: Path, test: str) -> tuple[bool, str]:
    """Whether the test passed in the copy, and how pytest counted it."""
    file, _, name = test.partition("::")
    (path,) = (copy / "tests").rglob(file)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"{path}::{name}", "--timeout=150"]
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    counted = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr
    print(done.stdout[-3000:])
    return done.returncode == 0, " ".join(counted.split()[:2])
