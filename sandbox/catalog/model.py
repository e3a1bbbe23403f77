"""The pocket catalog: its state, what users do to it, and what is true in it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

from sandbox.catalog.access import Failures, RateLimit, Tokens
from sandbox.catalog.asset_lists import AssetLists
from sandbox.catalog.asset_types import AssetTypes
from sandbox.catalog.assets import Assets, Record
from sandbox.catalog.cards import Card, may_find, may_open
from sandbox.catalog.clock import Clock
from sandbox.catalog.containers import GENERATED_SINCE_S, Container, ContainerKind, Containers, Member
from sandbox.catalog.contracts import DataContracts
from sandbox.catalog.copying import Copying
from sandbox.catalog.datasource_types import DatasourceTypes
from sandbox.catalog.editing import Editing
from sandbox.catalog.enrichment import Enrichment
from sandbox.catalog.events import Announcer, Sink
from sandbox.catalog.furnishing import furnish
from sandbox.catalog.generator import Generator
from sandbox.catalog.global_search import GlobalSearch
from sandbox.catalog.glossary import VALUES, Artifact, Glossary
from sandbox.catalog.ids import Ids
from sandbox.catalog.jobs import Jobs
from sandbox.catalog.knobs import Knobs
from sandbox.catalog.lineage import Lineage, LineageEvent
from sandbox.catalog.profiles import Profiles
from sandbox.catalog.quality import Quality
from sandbox.catalog.relationships import Edge, Relationships
from sandbox.catalog.removal import Background, Removal
from sandbox.catalog.rules import Rules
from sandbox.catalog.search_index import SearchIndex
from sandbox.catalog.statistics import Statistics

#: Containers that are there from the start, with their share of the generated assets.
_CONTAINERS: tuple[tuple[ContainerKind, str, float], ...] = (
    ("catalog", "Retail", 0.5),
    ("catalog", "Finance", 0.2),
    ("project", "Onboarding", 0.25),
    ("space", "Production", 0.05),
)


class PocketCatalog:
    """A catalog in memory.

    `assets` cards are made on demand from `seed`; the rooms below hold the rest. What users do is listed twice: in
    the rooms, and flat at the end of `__init__`.
    """

    def __init__(
        self,
        seed: int = 0,
        assets: int = 100,
        *,
        clock: Clock | None = None,
        knobs: Knobs | None = None,
        odd_cards: bool = True,
        hidden_catalog: bool = False,
        terms: int = 0,
        values: int = VALUES,
    ) -> None:
        """Set up; `odd_cards=False` leaves out the shapes with traps, `hidden_catalog` adds one nobody shows us,
        `terms` adds so many to the glossary, whose reference data sets have so many `values`.
        """
        self.seed, self.clock, self.knobs = seed, clock or Clock(), knobs or Knobs()
        #: Calls over HTTP by method and path template.
        self.calls: Counter[str] = Counter()
        with self.clock.standing_at(GENERATED_SINCE_S):
            self._build(assets, odd_cards, hidden_catalog, terms, values)
        self._name_mutations()

    def _build(self, count: int, odd: bool, hidden: bool, terms: int, values: int) -> None:
        seed = self.seed
        self.ids = Ids(seed)
        self.containers = Containers(self.ids, self.clock, self.knobs)
        self.generator = Generator(seed, count, self.ids, self._make_containers(hidden), odd=odd)
        self.assets = Assets(self.generator, self.containers, self.clock)
        self.index = SearchIndex(self.generator, self.clock, self.knobs)
        self.events = Announcer(self.clock, self.knobs)
        self.assets.watchers += [self.index.note, self.events.asset_changed]
        self.types, self.statistics = AssetTypes(), Statistics()
        self.datasource_types = DatasourceTypes(self.ids)
        self.background = Background(self.clock, self.knobs)
        self.editing = Editing(self.assets, self.types, self.ids, self.clock, self.statistics)
        self.relationships = Relationships(self.assets, self.ids, self.clock)
        self.lineage = Lineage(self.ids, self.clock)
        self.removal = Removal(self.assets, self.editing, self.relationships, self.types, self.background)
        self.copying = Copying(
            self.assets, self.types, self.relationships, self.lineage, self.statistics, self.ids, self.clock
        )
        self.profiles = Profiles(self.assets, self.editing, self.events, self.ids, self.clock)
        self.enrichment = Enrichment(self.assets, self.editing, self.events)
        self.glossary = Glossary(self.ids, self.clock, terms, values)
        self.quality = Quality(self.ids, self.clock)
        self.lists = AssetLists(self.ids, self.clock)
        self.jobs = Jobs(self.ids, self.clock)
        self.rules = Rules(self.ids, self.clock)
        self.contracts = DataContracts(self.ids, self.clock)
        self.search = GlobalSearch(self.index, self.containers, self.glossary)
        self.tokens = Tokens(self.clock, self.knobs)
        self.rate_limit, self.failures = RateLimit(self.clock, self.knobs), Failures(self.knobs, seed)
        furnish(
            random.Random(seed),
            containers=self.containers,
            assets=self.assets,
            relationships=self.relationships,
            enrichment=self.enrichment,
            glossary=self.glossary,
            quality=self.quality,
            lists=self.lists,
            jobs=self.jobs,
            rules=self.rules,
            contracts=self.contracts,
        )

    def _make_containers(self, hidden: bool) -> list[tuple[Container, float]]:
        made = []
        for kind, name, share in _CONTAINERS:
            container_id = self.containers.create(kind, name, f"The {kind} {name}.")
            made.append((self.containers.get(container_id), share))
        if hidden:
            container_id = self.containers.create("catalog", "Board Only")
            self.containers.set_caller_role(container_id, None)
            made.append((self.containers.get(container_id), 0.1))
        return made

    def _name_mutations(self) -> None:
        """What users do, flat."""
        edit, remove, copy = self.editing, self.removal, self.copying
        self.create_asset, self.patch_asset, self.read_asset = edit.create, edit.patch, edit.read
        self.set_attribute, self.add_columns, self.set_terms = edit.set_attribute, edit.add_columns, edit.set_terms
        self.delete_asset, self.bulk_delete, self.restore = remove.delete, remove.bulk_delete, remove.restore
        self.purge, self.purge_all, self.delete_asset_type = remove.purge, remove.purge_all, remove.delete_asset_type
        self.clone, self.publish, self.promote, self.deepcopy = copy.clone, copy.publish, copy.promote, copy.deepcopy
        self.set_relationship, self.unset_relationship = self.relationships.set, self.relationships.unset
        profiles = self.profiles
        self.create_profile, self.patch_profile = profiles.create, profiles.patch
        self.finish_profile, self.delete_profile = profiles.finish, profiles.delete
        containers = self.containers
        self.create_container, self.rename_container = containers.create, containers.rename
        self.delete_container, self.archive_container = containers.delete, containers.archive
        self.restore_container, self.set_caller_role = containers.restore, containers.set_caller_role
        self.add_member, self.remove_member = containers.add_member, containers.remove_member
        self.create_artifact, self.patch_artifact = self.glossary.create, self.glossary.patch
        self.delete_artifact = self.glossary.delete
        self.create_area, self.create_import = self.enrichment.create_area, self.enrichment.create_import

    @property
    def sink(self) -> Sink | None:
        """Who is given the catalog's messages: a callable with a routing key and a body."""
        return self.events.sink

    @sink.setter
    def sink(self, sink: Sink | None) -> None:
        self.events.sink = sink

    def catch_up(self) -> None:
        """Do the background work that is due."""
        self.background.catch_up()

    def container_ids(self, kind: ContainerKind) -> list[str]:
        """Ids of the containers of a kind that exist, whoever may see them."""
        return [container.id for container in self.containers if container.kind == kind and not container.deleted]

    def true_containers(self, *, as_seen: bool = False) -> Iterator[Container]:
        """Containers that exist; `as_seen`, those that the mirror's user is shown."""
        return (one for one in self.containers if not one.deleted and (one.listed or not as_seen))

    def true_members(self) -> Iterator[tuple[str, str, Member]]:
        """Container kind, container id, member; groups too."""
        for container in self.true_containers():
            yield from ((container.kind, container.id, member) for member in container.members.values())

    def true_assets(self, *, as_seen: bool = False) -> Iterator[tuple[str, str, Card]]:
        """Container kind, container id, card of every live asset; the cards are not to be changed.

        `as_seen` leaves out what the mirror's user cannot read: containers, mode 16, the entity in mode 8.
        """
        for record in self.assets.all():
            container = self.containers.get(record.container_id)
            if not as_seen:
                yield container.kind, container.id, record.card
            elif container.readable and may_find(record.card):
                card = record.card if may_open(record.card) else {"metadata": record.card["metadata"]}
                yield container.kind, container.id, card

    def true_trash(self) -> Iterator[tuple[str, str, Record]]:
        """Container kind, container id, record of every asset in the trash."""
        for container in self.true_containers():
            yield from ((container.kind, container.id, record) for record in self.assets.trash_of(container.id))

    def true_profiles(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Container kind, container id, profile of every live data set."""
        return ((container.kind, container.id, profile) for container, _, profile in self.profiles.all())

    def true_relationships(self) -> Iterator[Edge]:
        """Every relationship between live ends."""
        return self.relationships.all()

    def true_artifacts(self) -> Iterator[Artifact]:
        """Every published artifact."""
        return iter(self.glossary.published())

    def true_lineage(self) -> Iterator[LineageEvent]:
        """Every lineage event, those that others sent in as well."""
        return iter(self.lineage.events)

    def received_lineage(self) -> list[dict[str, Any]]:
        """Bodies of the lineage events that others sent in, as often as they came."""
        return [event.body for event in self.lineage.events if event.received]
