"""Puts the console's browser parts into the wheel; see service/http/console/parts.py."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_PARTS = Path(__file__).parent / "service/http/console/parts.py"


class ConsoleParts(BuildHookInterface):  # type: ignore[type-arg]
    """Has the parts there before the wheel is packed; an editable install is served by `make install`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Gather them.

        Raises:
            PartsMissing: the wheel would lack them.
        """
        if version != "editable":
            runpy.run_path(str(_PARTS))["gather"]()
