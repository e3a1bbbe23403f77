"""`--version`: what this is, exactly."""

from __future__ import annotations

import json
import os
import platform
from importlib.metadata import PackageNotFoundError, distribution

from service import __version__

#: Where the image says of which commit it was built.
VARIABLE = "SOURCE_REVISION"


def version() -> str:
    """Version, revision and Python, in one line."""
    return f"catalog-mirror {__version__} (revision {revision()}, Python {platform.python_version()})"


def revision() -> str:
    """The commit that this was built of: as the image or the installer noted it."""
    return os.environ.get(VARIABLE) or _installed_from() or "unknown"


def _installed_from() -> str | None:
    """The commit that pip installed from, where it installed from a repository (PEP 610)."""
    try:
        told = distribution("catalog-mirror").read_text("direct_url.json")
    except PackageNotFoundError:
        return None
    commit = json.loads(told or "{}").get("vcs_info", {}).get("commit_id")
    return commit if isinstance(commit, str) else None
