"""Every kind of thing the mirror knows, one module per family: its columns, where it stands in JSON, how it is read.

Comes in: nothing. Goes out: declarations, of which tables, views, documents and readings are made. It imports nothing
of the service but the words of changes and the look-up of places.
"""

from service.kinds.assets import ASSET, ASSET_LIST, ASSET_LIST_ITEM, ASSET_STATISTIC, ASSET_TYPE
from service.kinds.connections import DATASOURCE_TYPE
from service.kinds.containers import CONTAINERS, MEMBER
from service.kinds.contracts import DATA_CONTRACT, DATA_CONTRACT_TEST
from service.kinds.glossary import (
    ARTIFACT,
    ARTIFACT_RELATIONSHIP,
    ARTIFACT_VERSION,
    CATEGORY,
    CATEGORY_MEMBER,
    PROTECTION_RULE,
    REFERENCE_VALUE,
)
from service.kinds.jobs import ENRICHMENT_AREA, JOB, JOB_RUN, METADATA_IMPORT
from service.kinds.lineage import LINEAGE_EVENT
from service.kinds.model import Field, Kind, Listing
from service.kinds.profiles import DATA_PROFILE
from service.kinds.quality import (
    QUALITY_ASSET,
    QUALITY_CHECK,
    QUALITY_DEFINITION,
    QUALITY_EXECUTION,
    QUALITY_ISSUE,
    QUALITY_RULE,
    QUALITY_SCORE,
)
from service.kinds.relationships import RELATIONSHIP, RELATIONSHIP_TYPE

__all__ = ["CONTAINERS", "KINDS", "THINGS", "Field", "Kind", "Listing"]

#: Every kind by its name but containers, in the order in which it is read: parents before what is listed below them.
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        ASSET, DATA_PROFILE, MEMBER, ASSET_TYPE, RELATIONSHIP_TYPE, RELATIONSHIP, ARTIFACT, ARTIFACT_VERSION,
        ARTIFACT_RELATIONSHIP, ASSET_LIST, ASSET_LIST_ITEM, QUALITY_ASSET, QUALITY_CHECK, QUALITY_ISSUE, QUALITY_SCORE,
        JOB, JOB_RUN, METADATA_IMPORT, ENRICHMENT_AREA, ASSET_STATISTIC, LINEAGE_EVENT,
        QUALITY_DEFINITION, QUALITY_RULE, QUALITY_EXECUTION, REFERENCE_VALUE, PROTECTION_RULE,
        CATEGORY, CATEGORY_MEMBER, DATA_CONTRACT, DATA_CONTRACT_TEST, DATASOURCE_TYPE,
    )
}  # fmt: skip
#: The kinds that are mirrored by their fields alone.
THINGS: dict[str, Kind] = {name: kind for name, kind in KINDS.items() if kind.fields}
