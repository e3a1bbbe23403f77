"""What a package of yours may use: handlers, kinds and targets beside ours (docs/extending.md).

What is exported here keeps its name and meaning within a major version; what is to go first warns for one version. All
other modules are the inside of the service and may change at any time.

    from catalog_mirror import Event, Evidence, RefreshAsked, handles
"""

from service.changes import (
    AssetColumn,
    AssetDeleted,
    AssetDeletionHinted,
    AssetMentioned,
    AssetSaved,
    Attached,
    AttributeLeaf,
    Change,
    ClassCandidate,
    ColumnFigures,
    Container,
    ContainerDeleted,
    ContainerSaved,
    DriftFound,
    Findings,
    LineageEdge,
    LineageRecorded,
    Origin,
    ProfileDeleted,
    ProfileMentioned,
    ProfileSaved,
    Rank,
    RefreshAsked,
    ThingDeleted,
    ThingSaved,
    Version,
)
from service.errors import (
    ConfigurationError,
    DataError,
    DeliveryRejected,
    FieldInvalid,
    HandlerFailed,
    MirrorError,
    SettingInvalid,
    TargetUnavailable,
    TransientError,
)
from service.events.message import Event
from service.events.notices import Notice
from service.mirror.deliveries import Delivery
from service.mirror.store import Store
from service.pipeline.routing import Evidence, Handler, handles
from service.settings.model import Settings, TargetSettings
from service.targets.base import Sending, Target
from service.targets.options import options_of
from service.targets.posting import Poster
from service.targets.sign_in import SignIn
from service.text.documents import Document, document

__all__ = [
    "AssetColumn",
    "AssetDeleted",
    "AssetDeletionHinted",
    "AssetMentioned",
    "AssetSaved",
    "Attached",
    "AttributeLeaf",
    "Change",
    "ClassCandidate",
    "ColumnFigures",
    "ConfigurationError",
    "Container",
    "ContainerDeleted",
    "ContainerSaved",
    "DataError",
    "Delivery",
    "DeliveryRejected",
    "Document",
    "DriftFound",
    "Event",
    "Evidence",
    "FieldInvalid",
    "Findings",
    "Handler",
    "HandlerFailed",
    "LineageEdge",
    "LineageRecorded",
    "MirrorError",
    "Notice",
    "Origin",
    "Poster",
    "ProfileDeleted",
    "ProfileMentioned",
    "ProfileSaved",
    "Rank",
    "RefreshAsked",
    "Sending",
    "SettingInvalid",
    "Settings",
    "SignIn",
    "Store",
    "Target",
    "TargetSettings",
    "TargetUnavailable",
    "ThingDeleted",
    "ThingSaved",
    "TransientError",
    "Version",
    "document",
    "handles",
    "options_of",
]
