"""Rules: those that test data in projects, with their executions, and those that protect it everywhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sandbox.catalog.clock import Clock, iso_millis, iso_seconds
from sandbox.catalog.ids import Ids, Kind
from sandbox.catalog.problems import not_found


@dataclass(slots=True)
class Definition:
    """An expression over variables."""

    id: str
    project_id: str
    name: str
    expression: str


@dataclass(slots=True)
class Execution:
    """One run of a rule."""

    id: str
    started_s: float
    tested: int
    failing: int


@dataclass(slots=True)
class Rule:
    """A definition bound to a column."""

    id: str
    project_id: str
    name: str
    definition: Definition
    asset_id: str
    column: str
    is_valid: bool = True
    executions: list[Execution] = field(default_factory=list)


class Rules:
    """All rules; nothing on the broker tells of them, and those of projects tell no time."""

    def __init__(self, ids: Ids, clock: Clock) -> None:
        self._ids, self._clock = ids, clock
        self._definitions: dict[str, Definition] = {}
        self._rules: dict[str, Rule] = {}
        self._protecting: dict[str, dict[str, Any]] = {}

    def definitions(self, project_id: str) -> list[Definition]:
        """Definitions of a project."""
        return [one for one in self._definitions.values() if one.project_id == project_id]

    def of(self, project_id: str) -> list[Rule]:
        """Rules of a project."""
        return [one for one in self._rules.values() if one.project_id == project_id]

    def get(self, rule_id: str, project_id: str) -> Rule:
        """A rule; raises Problem 404."""
        found = self._rules.get(rule_id)
        if found is None or found.project_id != project_id:
            raise not_found("rule", rule_id)
        return found

    def protecting(self) -> list[dict[str, Any]]:
        """Data protection rules, the last changed first."""
        return sorted(self._protecting.values(), key=lambda one: one["metadata"]["updated_at"], reverse=True)

    def add(self, project_id: str, name: str, asset_id: str, column: str) -> str:
        """A definition and a rule that binds it; answers the rule's id."""
        definition = Definition(self._ids.new(Kind.RULE), project_id, f"{name} definition", "col1 IS NOT NULL")
        self._definitions[definition.id] = definition
        rule = Rule(self._ids.new(Kind.RULE), project_id, name, definition, asset_id, column)
        self._rules[rule.id] = rule
        return rule.id

    def execute(self, rule_id: str, tested: int, failing: int) -> None:
        """Run a rule."""
        run = Execution(self._ids.new(Kind.RULE), self._clock.now(), tested, failing)
        self._rules[rule_id].executions.insert(0, run)

    def rename(self, rule_id: str, name: str) -> None:
        """Call a rule otherwise."""
        self._rules[rule_id].name = name

    def remove(self, rule_id: str) -> None:
        """A rule with its executions, and its definition."""
        rule = self._rules.pop(rule_id)
        del self._definitions[rule.definition.id]

    def protect(self, name: str, action: str = "Deny") -> str:
        """Make a data protection rule."""
        rule_id, now = self._ids.new(Kind.RULE), iso_millis(self._clock.now())
        # Literals in a trigger begin with #; they may be people.
        trigger = ["$Business.Term", "CONTAINS", ["#Salary"]]
        self._protecting[rule_id] = {
            "metadata": {"guid": rule_id, "created_at": now, "updated_at": now, "creator": "IBMid-270000ANNA"},
            "entity": {
                "name": name, "description": "", "governance_type_id": "Access", "trigger": trigger,
                "action": {"name": action}, "state": "active",
            },
        }  # fmt: skip
        return rule_id

    def archive(self, rule_id: str) -> None:
        """Put a data protection rule away; it is listed all the same."""
        rule = self._protecting[rule_id]
        entity = {**rule["entity"], "state": "archived"}
        metadata = {**rule["metadata"], "updated_at": iso_millis(self._clock.now())}
        self._protecting[rule_id] = {"metadata": metadata, "entity": entity}


def definition_document(one: Definition) -> dict[str, Any]:
    """A definition as it is listed."""
    return {"id": one.id, "name": one.name, "description": "", "expression": one.expression,
            "dimension": {"id": "completeness"}}  # fmt: skip


def rule_document(one: Rule) -> dict[str, Any]:
    """A rule as it is listed."""
    target = {"data_asset": {"id": one.asset_id}, "column_name": one.column, "type": "column"}
    binding = {"variable_name": "col1", "target": target}
    definitions = [{"definition": {"id": one.definition.id}, "disambiguator": 1, "bindings": [binding]}]
    return {
        "id": one.id, "name": one.name, "description": "", "is_valid": one.is_valid,
        "bound_expression": [f"{one.column} IS NOT NULL"], "input": {"definitions": definitions},
        "dimension": {"id": "completeness"},
    }  # fmt: skip


def execution_document(rule: Rule, one: Execution) -> dict[str, Any]:
    """An execution as it is listed."""
    return {
        "id": one.id, "name": rule.name, "status": {"state": "analyzed"}, "run_by": "IBMid-270000DANA",
        "started_at": iso_millis(one.started_s), "ended_at": iso_seconds(one.started_s + 60),
        "tested_record_count": one.tested, "passing_record_count": one.tested - one.failing,
        "failing_record_count": one.failing,
    }  # fmt: skip
