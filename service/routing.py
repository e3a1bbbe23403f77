"""Where `handles` was before `catalog_mirror` exported it; goes with the next version."""

import warnings

from service.pipeline.routing import Evidence, Handler, handles

__all__ = ["Evidence", "Handler", "handles"]

warnings.warn(
    "service.routing goes with the next version: `from catalog_mirror import Evidence, handles` instead",
    DeprecationWarning,
    stacklevel=2,
)
