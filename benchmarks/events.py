"""Profile events to measure with: 3–4 kB each, the same ones whenever the same number is asked for."""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

#: Where the numbers behind the ids start; another seed would give other ids and the same sizes.
SEED = 2026
#: The first event's `published`. Every event has a second of its own, so no two of them tie.
FIRST_PUBLISHED = datetime(2025, 1, 1, tzinfo=UTC)
#: One event in so many is a PATCH of a profile that was made before.
PATCH_EVERY = 5
#: Profiles per data set.
PROFILES_PER_DATASET = 5
#: Columns of a profiled data set: with these, an event has about 3.5 kB.
COLUMNS = 6

_HREF = "https://catalog.example.com/v2/data_profiles"
_TYPES = ("varchar", "integer", "decimal", "timestamp")


@dataclass(frozen=True, slots=True)
class Sample:
    """One event as bytes."""

    routing_key: str
    body: bytes


@dataclass(slots=True)
class Load:
    """Events in their order, and what a mirror must hold when all of them are in."""

    samples: list[Sample] = field(default_factory=list)
    #: Profile → the moment of its newest event.
    newest: dict[str, datetime] = field(default_factory=dict)
    datasets: set[str] = field(default_factory=set)

    @property
    def mean_bytes(self) -> float:
        """Mean size of a body."""
        return sum(len(sample.body) for sample in self.samples) / len(self.samples)


@dataclass(frozen=True, slots=True)
class _Made:
    sample: Sample
    profile_id: str
    dataset_id: str
    published: datetime


def load_of(number: int, seed: int = SEED) -> Load:
    """So many events: profiles are made, and every fifth event updates one that was made before."""
    load = Load()
    for made in _stream(number, seed):
        load.samples.append(made.sample)
        load.newest[made.profile_id] = made.published
        load.datasets.add(made.dataset_id)
    return load


def samples_of(number: int, seed: int = SEED) -> Iterator[Sample]:
    """The events of `load_of`, one after the other, for more than should be held."""
    return (made.sample for made in _stream(number, seed))


def published_at(index: int) -> datetime:
    """When the event at this place was published."""
    return FIRST_PUBLISHED + timedelta(seconds=index)


def _stream(number: int, seed: int) -> Iterator[_Made]:
    chance = random.Random(seed)
    catalog_id = _id(chance)
    datasets = [_id(chance) for _ in range(max(1, number // PROFILES_PER_DATASET))]
    made = list[tuple[str, str]]()
    for index in range(number):
        published = published_at(index)
        is_patch = bool(made) and index % PATCH_EVERY == PATCH_EVERY - 1
        profile_id, dataset_id = chance.choice(made) if is_patch else (_id(chance), chance.choice(datasets))
        if not is_patch:
            made.append((profile_id, dataset_id))
        body = _envelope(chance, published, is_patch, catalog_id, dataset_id, profile_id)
        key = f"v2.data_profiles.{profile_id}.{'PATCH' if is_patch else 'POST'}"
        yield _Made(Sample(key, json.dumps(body, separators=(",", ":")).encode()), profile_id, dataset_id, published)


def _id(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def _envelope(
    chance: random.Random, published: datetime, is_patch: bool, catalog_id: str, dataset_id: str, profile_id: str
) -> dict[str, Any]:
    moment = published.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "event": "UPDATE_DATA_PROFILE" if is_patch else "CREATE_DATA_PROFILE",
        "actor": {"user_name": "john@example.com"},
        "published": moment,
        "url": f"{_HREF}/{profile_id}?catalog_id={catalog_id}",
        "status_code": 200 if is_patch else 201,
        "state": _state(chance, moment, catalog_id, dataset_id, profile_id),
        "details": {
            "catalog_id": catalog_id,
            "dataset_id": dataset_id,
            "profile_id": profile_id,
            "is_governed": False,
        },
    }


def _state(chance: random.Random, moment: str, catalog_id: str, dataset_id: str, profile_id: str) -> dict[str, Any]:
    return {
        "metadata": {
            "guid": profile_id,
            "asset_id": profile_id,
            "dataset_id": dataset_id,
            "url": f"{_HREF}/{profile_id}?catalog_id={catalog_id}",
            "catalog_id": catalog_id,
            "created_at": moment,
            "accessed_at": moment,
            "owner_id": "IBMid-50AB12CD34",
            "last_updater_id": "IBMid-50AB12CD34",
        },
        "entity": {
            "data_profile": {
                "options": {
                    "disable_profiling": False,
                    "max_row_count": 5000,
                    "max_distribution_size": 100,
                    "max_numeric_stats_bins": 200,
                    "classification_options": {
                        "disabled": False,
                        "use_all_ibm_classes": True,
                        "ibm_class_codes": [],
                        "custom_class_codes": [],
                    },
                },
                "execution": {
                    "status": "finished",
                    "is_supported": True,
                    "dataflow_id": _id(chance),
                    "dataflow_run_id": _id(chance),
                },
                "columns": [_column(chance, index) for index in range(COLUMNS)],
                "attachment_id": _id(chance),
            }
        },
        "href": f"{_HREF}/{profile_id}?catalog_id={catalog_id}",
    }


def _column(chance: random.Random, index: int) -> dict[str, Any]:
    low, high = sorted((round(chance.uniform(-900, 900), 3), round(chance.uniform(-900, 900), 3)))
    return {
        "name": f"COLUMN_{index:02d}",
        "value_analysis": {
            "distinct_count": chance.randrange(5000),
            "null_count": chance.randrange(500),
            "unique_count": chance.randrange(2000),
            "total_count": 5000,
            "inferred_type": {"type": _TYPES[index % len(_TYPES)], "length": 8 * (index + 1), "count": 5000},
            "min_value": low,
            "max_value": high,
            "mean": chance.uniform(low, high),
        },
        "column_classification": {"confidence": 0.75, "class_code": "NoClassDetected", "priority": 70},
    }
