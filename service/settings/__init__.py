"""What is set: sections and files, and what of the world they mean.

Comes in: environment variables and files. Goes out: typed sections, trust, proxies, the scope. It imports nothing of
the service but the words of changes, texts and errors.
"""

import warnings
from typing import Any


def __getattr__(name: str) -> Any:
    """`from service.settings import Settings`, as packages of others had it; goes with the next version."""
    if name not in ("Settings", "TargetSettings"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    message = f"service.settings.{name} goes with the next version: `from catalog_mirror import {name}` instead"
    warnings.warn(message, DeprecationWarning, stacklevel=2)
    from service.settings import model

    return getattr(model, name)
