"""A folder of secrets as a kubelet mounts it: links, which all lead to a new version at once.

Each file is a link through `..data`, itself a link to a folder of one version; a new version is a new folder, and one
rename makes it count (Kubernetes, pkg/volume/util/atomic_writer.go, as a volume of a Secret or a projected one has it).
"""

from __future__ import annotations

import os
import shutil
from itertools import count
from pathlib import Path


class MountedSecrets:
    """The folder `place`, with one version of its files at a time."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._numbers = count()
        self._now: dict[str, str] = {}
        place.mkdir(parents=True, exist_ok=True)

    def put(self, files: dict[str, str]) -> None:
        """Make the next version: these files, and what the last one has beside."""
        self._now |= files
        data, old = self.place / "..data", (self.place / "..data").resolve()
        version = self.place / f"..2026_11_30.{next(self._numbers)}"
        version.mkdir()
        for name, text in self._now.items():
            (version / name).write_text(text, encoding="utf-8")
            (version / name).chmod(0o440)
            os.utime(version / name, (0, 0))  # no clock may be needed to see that it is another file
        fresh = self.place / "..data_tmp"
        fresh.symlink_to(version.name)
        fresh.rename(data)
        for name in self._now:
            if not (self.place / name).is_symlink():
                (self.place / name).symlink_to(f"..data/{name}")
        if old.name.startswith("..2026"):
            shutil.rmtree(old)

    def path(self, name: str) -> Path:
        """Where a file of it is found."""
        return self.place / name
