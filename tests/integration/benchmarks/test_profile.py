"""The profile by stage, on a real PostgreSQL."""

from collections.abc import Callable
from typing import NoReturn

import pytest

from benchmarks import profile, stages
from sandbox.parts.errors import PartMissing


def test_every_stage_of_the_main_job_takes_time_and_the_mirror_alone_makes_no_answers(
    do_without: Callable[[Exception], NoReturn],
) -> None:
    try:
        found = profile.measure(batches=2)
    except PartMissing as missing:
        do_without(missing)
    for half, parts in profile.HALVES.items():
        spent = found["main_job"][half]
        names = {name for stage in parts for name in (stage.first_step, stage.name) if name}
        assert set(spent) == {*names, profile.REST, profile.ALL}
        assert [name for name in spent if spent[name].cpu_us <= 0] == []
    assert found["mirror"]["commit"]["answers"].cpu_us == pytest.approx(0, abs=0.5)
    waiting = {stage.name for stage in stages.COMMIT if stage.waits}
    assert {name for name, spent in found["mirror"]["commit"].items() if spent.waited_us} == {*waiting, profile.ALL}
