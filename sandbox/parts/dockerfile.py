"""Reads a Dockerfile as far as its steps can be taken without an engine: stages with what they run, copy and set."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Stage:
    """One stage: `FROM image AS name`, and its instructions in order."""

    image: str
    name: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, keyword: str) -> list[str]:
        """The arguments of every instruction of this kind."""
        return [arguments for found, arguments in self.instructions if found == keyword]

    @property
    def commands(self) -> list[str]:
        """The shell commands that are run, without the mounts that only an engine can make."""
        return [re.sub(r"^(--mount=\S+\s+)+", "", arguments) for arguments in self.all("RUN")]

    @property
    def copied(self) -> list[str]:
        """What is copied from the build context."""
        copies = [arguments.split() for arguments in self.all("COPY") if not arguments.startswith("--from")]
        return [source for words in copies for source in words[:-1]]


def read(path: Path) -> list[Stage]:
    """The stages of a Dockerfile; what stands before the first FROM is left out."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.lstrip().startswith("#")]
    stages: list[Stage] = []
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        keyword, _, arguments = line.strip().partition(" ")
        if keyword == "FROM":
            image, _, name = arguments.partition(" AS ")
            stages.append(Stage(image, name))
        elif keyword and stages:
            stages[-1].instructions.append((keyword, arguments))
    return stages
