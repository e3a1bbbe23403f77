"""What this target alone can be told, in `TARGETS__COLLIBRA_ASSETS__OPTIONS`."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from service.settings.sections import Duration
from service.targets.collibra_assets.commands import MAX_SYSTEM


class Options(BaseModel):
    """All of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: What of the catalog is what in Collibra.
    mapping_file: Path
    #: Under which system Collibra keeps our ids; another mirror into the same Collibra needs another one.
    external_system: str = Field("catalog-mirror", min_length=1, max_length=MAX_SYSTEM)
    #: Changes of one import at most.
    batch_max: int = Field(100, ge=1, le=1000)
    path: str = Field("/rest/2.0", pattern="^/.*[^/]$")
    #: Seconds between two looks at a job.
    poll: Duration = Field(1, gt=0)
    timeout_s: float = Field(15, gt=0)
