"""A random life of a catalog: thousands of changes of every kind, the same for a seed."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from sandbox.catalog.assets import Record
from sandbox.catalog.cards import profiles_in
from sandbox.catalog.clock import SteppingClock
from sandbox.catalog.containers import CONTAINER_KINDS, ContainerKind
from sandbox.catalog.jobs import FINAL_STATES, STATES
from sandbox.catalog.model import PocketCatalog
from sandbox.catalog.problems import Problem
from sandbox.catalog.profiles import EXECUTING
from sandbox.catalog.relationships import COLUMN_NAMES, End

#: Seconds that pass between two changes on a stepping clock, at most; often none, so that changes share a second.
STEP_LIMIT_S = 3.0
#: Containers of a kind at most; a history makes and deletes them.
_CONTAINER_LIMIT = 6
_WORDS = ("orders", "people", "stock", "returns", "visits", "prices", "Zürich", "naïve")
_USERS = tuple(f"IBMid-27000{number}" for number in range(8))
_CUSTOM_TYPE = "season"


class History:
    """One life; `step` makes one change. Nothing of the mirror's own rights is taken away here."""

    def __init__(self, catalog: PocketCatalog, seed: int = 0) -> None:
        self.catalog, self._rng = catalog, random.Random(seed)
        #: What happened, and how often; what the catalog refused counts as `refused`.
        self.done: Counter[str] = Counter()
        self._actions = self._weigh()

    def step(self) -> str:
        """Let time pass and make one change; answers what it was."""
        if isinstance(self.catalog.clock, SteppingClock) and self._rng.random() < 0.7:
            self.catalog.clock.advance(self._rng.random() * STEP_LIMIT_S)
        self.catalog.catch_up()
        (action,) = self._rng.choices(list(self._actions), list(self._actions.values()))
        try:
            action()
        except Problem:
            self.done["refused"] += 1
            return "refused"
        name = action.__name__.lstrip("_")
        self.done[name] += 1
        return name

    def _weigh(self) -> dict[Callable[[], Any], int]:
        return {
            self._create_asset: 12,
            self._patch_asset: 14,
            self._set_terms: 6,
            self._describe_columns: 8,
            self._set_custom_attribute: 4,
            self._add_columns: 4,
            self._read_asset: 6,
            self._restrict: 3,
            self._delete_asset: 7,
            self._bulk_delete: 1,
            self._restore_or_purge: 5,
            self._relate: 7,
            self._unrelate: 3,
            self._copy: 5,
            self._deepcopy: 2,
            self._create_profile: 6,
            self._move_profile: 10,
            self._delete_profile: 2,
            self._change_member: 3,
            self._change_container: 2,
            self._change_artifact: 5,
            self._change_quality: 3,
            self._run_job: 3,
            self._change_list: 3,
            self._change_rules: 3,
            self._change_values: 2,
            self._change_category: 3,
            self._change_contract: 3,
            self._create_area: 1,
            self._change_type: 1,
            self._change_datasource_type: 1,
        }

    # Assets

    def _create_asset(self) -> None:
        number = self._rng.randrange(10**6)
        if self._rng.random() < 0.2:
            secret = {
                "host": "db.example.com",
                "port": "50001",
                "username": "u",
                "password": f"history-secret-{number}",
            }
            entity = {"connection": {"datasource_type": "db2", "context": "source", "properties": secret, "flags": []}}
            self.catalog.create_asset(self._container(), f"connection {number}", "connection", entity=entity)
        else:
            self.catalog.create_asset(self._container(), f"{self._word()}_{number}", description=self._word())

    def _patch_asset(self) -> None:
        rng, asset_id = self._rng, self._asset()
        kind = rng.randrange(3)
        if kind == 0:
            self.catalog.patch_asset(asset_id, name=f"{self._word()}_{rng.randrange(10**6)}")
        elif kind == 1:
            self.catalog.patch_asset(asset_id, description=f"{self._word()} {self._word()}")
        else:
            self.catalog.patch_asset(asset_id, tags=rng.sample(("raw", "checked", "gold", "#1"), rng.randrange(4)))

    def _set_terms(self) -> None:
        terms = self.catalog.glossary.published("glossary_term")
        chosen = self._rng.sample(terms, min(len(terms), self._rng.randrange(4)))
        listed = [{"term_id": one.id, "term_display_name": one.latest["metadata"]["name"]} for one in chosen]
        self.catalog.set_terms(self._asset(), listed)

    def _describe_columns(self) -> None:
        record = self._drawn(lambda one: bool(one.card["entity"].get("data_asset", {}).get("columns")))
        column = self._rng.choice(record.card["entity"]["data_asset"]["columns"])["name"]
        told = record.card["entity"].get("column_info", {})
        mine = told.get(column, {}) | {"name": column, "column_description": self._word()}
        self.catalog.set_attribute(record.asset_id, "column_info", told | {column: mine})

    def _set_custom_attribute(self) -> None:
        attribute = self._rng.choice(("review_state", "column_attribute", _CUSTOM_TYPE))
        value = {"state": self._word(), "score": self._rng.random()} if self._rng.random() < 0.7 else None
        self.catalog.set_attribute(self._asset(), attribute, value)

    def _add_columns(self) -> None:
        record = self._drawn(lambda one: "data_asset" in one.card["entity"])
        self.catalog.add_columns(record.asset_id, [f"{self._word()}/{self._rng.randrange(10**4)}"])

    def _read_asset(self) -> None:
        self.catalog.read_asset(self._asset())

    def _restrict(self) -> None:
        roles = {self._rng.choice(_USERS): ["OWNER", "EDITOR"], self._rng.choice(_USERS): ["VIEWER"]}
        self.catalog.patch_asset(self._asset(), rov_mode=self._rng.choice((0, 0, 8, 16)), member_roles=roles)

    def _delete_asset(self) -> None:
        self.catalog.delete_asset(self._asset(), purge=self._rng.random() < 0.2)

    def _bulk_delete(self) -> None:
        self.catalog.bulk_delete([self._asset() for _ in range(self._rng.randint(2, 5))])

    def _restore_or_purge(self) -> None:
        trash = self.catalog.assets.trash_of(self._container())
        if not trash:
            raise _nothing()
        chosen = self._rng.choice(trash).asset_id
        if self._rng.random() < 0.7:
            self.catalog.restore(chosen)
        else:
            self.catalog.purge(chosen)

    def _relate(self) -> None:
        name = self._rng.choice(list(self.catalog.relationships.types))
        source, target = self._drawn(), End(self._asset())
        columns = source.card["entity"].get("data_asset", {}).get("columns", [])
        by_column = columns and name in COLUMN_NAMES and self._rng.random() < 0.4
        column = self._rng.choice(columns)["name"] if by_column else None
        if name == "implements":
            chosen = self._rng.choice(self.catalog.glossary.published())
            target = End(chosen.latest["metadata"]["global_id"], artifact_type=chosen.type)
        self.catalog.set_relationship(End(source.asset_id, column), name, target)

    def _unrelate(self) -> None:
        edges = list(self.catalog.relationships.all())
        if not edges:
            raise _nothing()
        edge = self._rng.choice(edges)
        self.catalog.unset_relationship(edge.source, edge.name, edge.target)

    def _copy(self) -> None:
        way = self._rng.choice((self.catalog.clone, self.catalog.publish, self.catalog.promote))
        ways: dict[str, tuple[ContainerKind, ContainerKind]] = {
            "clone": ("catalog", "project"),
            "publish": ("project", "catalog"),
            "promote": ("project", "space"),
        }
        source, target = ways[way.__name__]
        way(self._asset_in(source), self._container(target))

    def _deepcopy(self) -> None:
        self.catalog.deepcopy(self._asset_in("project"), self._container("catalog"))

    # Profiles

    def _create_profile(self) -> None:
        record = self._drawn(lambda one: one.card["metadata"]["asset_type"] == "data_asset")
        self.catalog.create_profile(record.asset_id, start=self._rng.random() < 0.7)

    def _move_profile(self) -> None:
        record, profile = self._profile()
        profile_id = profile["metadata"]["guid"]
        status = profile["entity"]["data_profile"]["execution"]["status"]
        if status in EXECUTING and self._rng.random() < 0.7:
            self.catalog.finish_profile(record.asset_id, profile_id, failed=self._rng.random() < 0.15)
        elif status == "none":
            self.catalog.patch_profile(record.asset_id, profile_id, status="submitted")
        else:
            rows = self._rng.randrange(1000, 9000)
            self.catalog.patch_profile(record.asset_id, profile_id, status="running", max_row_count=rows)

    def _delete_profile(self) -> None:
        record, profile = self._profile()
        self.catalog.delete_profile(record.asset_id, profile["metadata"]["guid"], stop=self._rng.random() < 0.5)

    # Containers and everything else

    def _change_member(self) -> None:
        container, who = self._container(), self._rng.choice(_USERS)
        if self._rng.random() < 0.7:
            role = self._rng.choice(("admin", "editor", "viewer"))
            self.catalog.add_member(container, who, role, group=self._rng.random() < 0.2)
        else:
            self.catalog.remove_member(container, who)

    def _change_container(self) -> None:
        kind = self._rng.choice(CONTAINER_KINDS)
        known = self.catalog.container_ids(kind)
        chance = self._rng.random()
        if chance < 0.4 and len(known) < _CONTAINER_LIMIT:
            self.catalog.create_container(kind, f"{self._word()} {kind}")
        elif chance < 0.5 and len(known) > 2:
            # The youngest: what a catalog began with stays.
            self.catalog.delete_container(known[-1])
        else:
            self.catalog.rename_container(self._rng.choice(known), f"{self._word()} {self._rng.randrange(100)}")

    def _change_artifact(self) -> None:
        glossary = self.catalog.glossary
        chosen = self._rng.choice(glossary.published()) if glossary.published() else None
        chance = self._rng.random()
        if chosen is None or chance < 0.3:
            self.catalog.create_artifact(self._rng.choice(("glossary_term", "data_class", "policy")), self._word())
        elif chance < 0.7:
            self.catalog.patch_artifact(chosen.id, description=self._word())
        elif chance < 0.8:
            self.catalog.patch_artifact(chosen.id, stewards=self._rng.sample(_USERS, self._rng.randrange(3)))
        elif chance < 0.9:
            glossary.relate(chosen.id, "related_to", self._rng.choice(glossary.published()).id)
        else:
            self.catalog.delete_artifact(chosen.id)

    def _change_quality(self) -> None:
        quality, container = self.catalog.quality, self._container(self._rng.choice(("catalog", "project")))
        checks, assets = quality.checks(container), quality.assets(container, children=True)
        issues = quality.issues(container)
        if issues and self._rng.random() < 0.4:
            quality.set_ignored(self._rng.choice(issues).id, self._rng.random() < 0.5)
        elif checks and assets:
            found = self._rng.randrange(1000)
            quality.report(self._rng.choice(checks).id, self._rng.choice(assets).id, found, 1000)
        else:
            quality.add_check(container, f"check of {self._word()}")

    def _run_job(self) -> None:
        jobs, container = self.catalog.jobs, self._container(self._rng.choice(("project", "space")))
        known = jobs.of(container)
        if not known or self._rng.random() < 0.2:
            jobs.create(container, f"{self._word()} job", self._asset(), "data_asset")
            return
        job = self._rng.choice(known)
        open_runs = [run for run in job.runs.values() if run.state not in FINAL_STATES]
        if open_runs:
            jobs.set_state(job.id, self._rng.choice(open_runs).id, self._rng.choice(STATES))
        else:
            jobs.run(job.id)

    def _change_rules(self) -> None:
        rules, rng = self.catalog.rules, self._rng
        project = rng.choice([one.id for one in self.catalog.true_containers() if one.kind == "project"])
        known = rules.of(project)
        chance = rng.random()
        if chance < 0.1:
            protecting = rules.protecting()
            if chance < 0.05 or not protecting:
                rules.protect(f"Protect {self._word()}")
            else:
                rules.archive(rng.choice(protecting)["metadata"]["guid"])
        elif not known or chance < 0.3:
            rules.add(project, f"Rule {self._word()}", self._asset(), self._word())
        elif chance < 0.7:
            rules.execute(rng.choice(known).id, 1000, rng.randrange(1000))
        elif chance < 0.9:
            rules.rename(rng.choice(known).id, f"Rule {self._word()}")
        else:
            rules.remove(rng.choice(known).id)

    def _change_values(self) -> None:
        sets = self.catalog.glossary.published("reference_data")
        if not sets:
            return
        chosen = self._rng.choice(sets).id
        values = self.catalog.glossary.values(chosen)
        if values and self._rng.random() < 0.3:
            self.catalog.glossary.remove_value(chosen, self._rng.choice(values)["code"])
        else:
            self.catalog.glossary.set_value(chosen, f"{self._rng.randrange(60):04d}", self._word())

    def _change_category(self) -> None:
        glossary, rng = self.catalog.glossary, self._rng
        categories, chance = glossary.categories, rng.random()
        chosen, other = rng.choice(categories.all()), rng.choice(categories.all())
        if chance < 0.25:
            categories.create(f"{self._word()} {rng.randrange(100)}", rng.choice((chosen.id, None)), self._word())
        elif chance < 0.4:
            categories.patch(chosen.id, name=f"{self._word()} {rng.randrange(100)}", stewards=[rng.choice(_USERS)])
        elif chance < 0.5:
            categories.move(chosen.id, rng.choice((other.id, None)))
        elif chance < 0.65:
            glossary.move(rng.choice(glossary.published()).id, chosen.id)
        elif chance < 0.8:
            categories.add_role(chosen.id, rng.choice(_USERS), rng.choice(("owner", "editor", "viewer")))
        elif chance < 0.9 and chosen.roles:
            categories.remove_role(chosen.id, rng.choice(list(chosen.roles)))
        else:
            glossary.delete_category(chosen.id)

    def _change_contract(self) -> None:
        contracts, rng = self.catalog.contracts, self._rng
        container = self._container(rng.choice(("catalog", "project")))
        known, chance = contracts.of(container), rng.random()
        if not known or chance < 0.25:
            contracts.create(container, f"contract of {self._word()}", self._word())
            return
        chosen = rng.choice(known).id
        if chance < 0.45:
            contracts.replace(chosen, rng.choice(("draft", "active", "deprecated")))
        elif chance < 0.8:
            contracts.test(chosen, 10, rng.randrange(4))
        elif chance < 0.9:
            contracts.forget_runs(chosen)
        else:
            contracts.delete(chosen)

    def _change_list(self) -> None:
        lists = self.catalog.lists
        known = lists.all()
        chance = self._rng.random()
        if not known or chance < 0.2:
            lists.create(f"Order of {self._word()}")
            return
        chosen = self._rng.choice(known)["id"]
        items = lists.items(chosen)
        if chance < 0.3 and len(known) > 1:
            lists.delete(chosen)
        elif chance < 0.5:
            lists.patch(chosen, state=self._rng.choice(("confirmed", "default_state")))
        elif items and chance < 0.7:
            lists.remove_item(chosen, self._rng.choice(items)["id"])
        else:
            record = self._drawn()
            kind = record.card["metadata"]["asset_type"]
            lists.add_item(chosen, record.asset_id, kind, self.catalog.containers.get(record.container_id))

    def _create_area(self) -> None:
        scope = [self._asset_in("project") for _ in range(self._rng.randrange(3))]
        self.catalog.create_area(self._container("project"), f"area {self._word()}", scope)

    def _change_datasource_type(self) -> None:
        types, chance = self.catalog.datasource_types, self._rng.random()
        chosen = self._rng.choice(types.all())["metadata"]["asset_id"]
        if chance < 0.4:
            types.define(f"{self._word()}-{self._rng.randrange(100)}", self._word())
        elif chance < 0.7:
            types.patch(chosen, f"{self._word()} {self._rng.randrange(100)}")
        else:
            types.delete(chosen)

    def _change_type(self) -> None:
        if _CUSTOM_TYPE in self.catalog.types.names():
            self.catalog.delete_asset_type(_CUSTOM_TYPE)
        else:
            self.catalog.types.create(_CUSTOM_TYPE, "A season")

    # Choosing

    def _word(self) -> str:
        return self._rng.choice(_WORDS)

    def _container(self, kind: ContainerKind | None = None) -> str:
        chosen: ContainerKind = self._rng.choice(CONTAINER_KINDS) if kind is None else kind
        return self._rng.choice(self.catalog.container_ids(chosen))

    def _drawn(self, wanted: Callable[[Record], bool] = lambda _: True) -> Record:
        record = self.catalog.assets.draw(self._rng, wanted)
        if record is None:
            raise _nothing()
        return record

    def _asset(self) -> str:
        return self._drawn().asset_id

    def _asset_in(self, kind: ContainerKind) -> str:
        return self._drawn(lambda one: self.catalog.containers.get(one.container_id).kind == kind).asset_id

    def _profile(self) -> tuple[Record, dict[str, Any]]:
        record = self._drawn(lambda one: bool(profiles_in(one.card)))
        return record, self._rng.choice(profiles_in(record.card))


def random_history(catalog: PocketCatalog, operations: int, seed: int = 0) -> Counter[str]:
    """Make so many random changes at once; answers what was done, and how often."""
    history = History(catalog, seed)
    for _ in range(operations):
        history.step()
    return history.done


def _nothing() -> Problem:
    return Problem(404, "does_not_exist", "Chance found nothing to change.")
