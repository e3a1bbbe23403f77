"""The mapping file and the commands made of it: what cannot be meant is told with its place, and no two ids are one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from service.errors import SettingInvalid
from service.settings.model import Settings, TargetSettings
from service.targets.collibra_assets import CollibraAssets
from service.targets.collibra_assets.commands import MAX_ENTITY, draft, external_id, identified
from service.targets.collibra_assets.mapping import MAX_BYTES, AssetMapping, MappingInvalid, fields_of, read

RULE = {"type": "Table"}
GOOD: dict[str, Any] = {"domains": {"*": {"name": "D", "community": "C"}}, "assets": {"data_asset": RULE}}
PART_OF = "00000000-0000-0000-0000-000000007042"


def written(path: Path, told: object) -> Path:
    file = path / "mapping.yaml"
    file.write_text(told if isinstance(told, str) else yaml.safe_dump(told))
    return file


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ("assets: [", "line 1"),
        ("", "valid dictionary"),
        ({"domains": {}}, "neither `assets` nor `artifacts`"),
        (GOOD | {"colour": "red"}, "colour: Extra inputs"),
        (GOOD | {"assets": {"data_asset": {}}}, "assets.data_asset.type: Field required"),
        (GOOD | {"assets": {"x": RULE | {"attributes": {"A": "nothing"}}}}, "assets.x: there is no field 'nothing'"),
        (GOOD | {"assets": {"x": RULE | {"attributes": {"A": "document"}}}}, "no field 'document'"),
        (GOOD | {"assets": {"x": RULE | {"name": "{name"}}}, "is no template"),
        (GOOD | {"assets": {"x": RULE | {"name": "{name:>1000000000}"}}}, "has a format in its braces"),
        (GOOD | {"assets": {"x": RULE | {"name": "{name!r}"}}}, "has a format in its braces"),
        (GOOD | {"assets": {"x": RULE | {"name": "{name.__class__}"}}}, "no field 'name.__class__'"),
        (GOOD | {"domains": {"c": {"name": "D"}}}, "a domain has either"),
        (GOOD | {"deleted": {"status": "Obsolete"}}, "it needs a `status`"),
        (
            GOOD | {"assets": {"x": RULE | {"relations": [{"type": PART_OF, "direction": "TARGET", "to": "asset"}]}}},
            "no relation to 'asset'; there are connection, terms",
        ),
        (GOOD | {"assets": {"x": RULE | {"tags": "labels"}}}, "assets.x: there is no field 'labels'"),
        (GOOD | {"assets": {"x": RULE | {"responsibilities": {"Owner": "owner_id"}}}}, "the file needs `people`"),
        (GOOD | {"people": {"ann": {"user": "ann@example.org"}}}, "people.ann.user: Input should be a valid UUID"),
        (GOOD | {"people": {"ann": {"user": PART_OF, "group": PART_OF}}}, "either a `user` or a `group`"),
    ],
)
def test_what_a_mapping_cannot_mean_is_told_with_its_place(tmp_path: Path, told: object, problem: str) -> None:
    with pytest.raises(MappingInvalid) as raised:
        read(written(tmp_path, told))
    assert problem in str(raised.value)


def test_a_mapping_that_is_missing_or_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MappingInvalid, match="FileNotFoundError"):
        read(tmp_path / "nothing.yaml")
    with pytest.raises(MappingInvalid, match="larger than"):
        read(written(tmp_path, "#" * (MAX_BYTES + 1)))


@given(st.binary(max_size=200))
def test_bytes_that_are_no_mapping_are_refused_by_an_error_of_ours(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "any.yaml"
    file.write_bytes(raw)
    with pytest.raises(MappingInvalid):
        read(file)


def test_the_target_says_which_setting_and_which_place_of_the_file(tmp_path: Path) -> None:
    file = written(tmp_path, GOOD | {"assets": {"x": RULE | {"attributes": {"A": "nothing"}}}})
    chosen = TargetSettings(url="http://c", token=SecretStr("t"), options={"mapping_file": str(file)})
    with pytest.raises(SettingInvalid, match=r"TARGETS__COLLIBRA_ASSETS__OPTIONS.*assets\.x: there is no field"):
        CollibraAssets.create("collibra_assets", Settings(targets={"collibra_assets": chosen}))


ids = st.text(min_size=1, max_size=300)
things = st.one_of(
    st.tuples(st.just("asset"), ids, st.just("")),
    st.tuples(st.just("artifact"), ids, st.just("")),
    st.tuples(st.just("column"), ids, ids),
)


@given(things, things)
def test_two_things_never_have_one_external_id_and_none_is_too_long(one: Any, other: Any) -> None:
    first, second = external_id(*one), external_id(*other)
    assert (first == second) == (one == other)
    assert 0 < len(first) <= MAX_ENTITY


texts = st.one_of(st.none(), st.text(max_size=40), st.booleans(), st.integers())


@given(st.fixed_dictionaries(dict.fromkeys(sorted(fields_of("asset") - {"asset_id", "connection_id"}), texts)))
def test_any_row_makes_a_command_of_texts_with_a_name(row: dict[str, Any]) -> None:
    mapping = _mapping()
    made = draft(mapping, "asset", {**row, "asset_id": "a1", "connection_id": "k1"}, *_rule_and_domain(mapping))
    assert made is not None
    command = identified("system", made.external_id, made.command(set()))
    assert command["name"]
    assert "relations" not in command
    assert all(isinstance(one["value"], str) for values in command["attributes"].values() for one in values)
    assert made.lacking(set()) == "k1"
    assert made.lacking({"k1"}) is None


def _mapping() -> AssetMapping:
    attributes = {field: field for field in fields_of("asset")}
    relations = [{"type": PART_OF, "direction": "TARGET", "to": "connection"}]
    rule = RULE | {"attributes": attributes, "relations": relations}
    return AssetMapping.model_validate(GOOD | {"assets": {"*": rule}})


def _rule_and_domain(mapping: AssetMapping) -> tuple[Any, Any]:
    rule = mapping.rule_of("asset", "anything")
    return rule, mapping.domain_of(rule, None) if rule else None
