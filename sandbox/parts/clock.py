"""A clock that steps, for programs that are started with it (libfaketime); how time passes for them stays as it is."""

from pathlib import Path

from sandbox.parts.errors import FAKETIME, PartMissing

_LIBRARIES = (
    "usr/lib/*/faketime/libfaketime.so.1",
    "usr/lib64/faketime/libfaketime.so.1",
    "usr/local/lib/faketime/*.1",
)


class SteppingClock:
    """Tells time `step` seconds off to whoever runs with its `environment`; it may step while they run."""

    def __init__(self, directory: Path) -> None:
        found = [library for pattern in _LIBRARIES for library in Path("/").glob(pattern)]
        if not found:
            raise PartMissing(FAKETIME)
        self._library = found[0]
        self._told = directory / "clock"
        self.step(0)

    @property
    def environment(self) -> dict[str, str]:
        """Variables to start a program with."""
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._told),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def step(self, seconds: float) -> None:
        """Be so far off from now on."""
        written = self._told.with_suffix(".new")
        written.write_text(f"{seconds:+.0f}s\n")
        written.rename(self._told)
