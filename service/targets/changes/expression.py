"""An expression that is asked of each event, in JMESPath (https://jmespath.org, the extra `events`).

JMESPath was chosen over CEL because its library is small, all Python, and kept by those whose own tools stand on it.
It has neither loops nor recursion, but what it makes can grow with every step; so all that it makes is counted.
"""

from __future__ import annotations

from typing import Any

from jmespath import visitor
from jmespath.exceptions import JMESPathError, JMESPathTypeError, UnknownFunctionError
from jmespath.functions import Functions
from jmespath.parser import Parser

#: Characters of an expression; and values that it may look at and make while it is asked of one event.
MAX_CHARACTERS, MAX_STEPS = 2000, 100_000
#: Characters of a text that count as one value.
_TEXT = 64
_FUNCTIONS: dict[str, Any] = Functions.FUNCTION_TABLE
#: Nodes that make something new of what they were given.
_MAKES = frozenset({
    "flatten", "function_expression", "multi_select_dict", "multi_select_list", "projection", "value_projection",
    "filter_projection",
})  # fmt: skip


class ExpressionInvalid(ValueError):
    """An expression that cannot be asked of anything."""


class TooLong(Exception):
    """The expression looks at, or makes, more than it may."""

    def __str__(self) -> str:
        return f"it looks at, or makes, more than {MAX_STEPS} values"


class Expression:
    """One expression, compiled.

    Raises:
        ExpressionInvalid: it does not compile; says where.
    """

    def __init__(self, text: str) -> None:
        if len(text) > MAX_CHARACTERS:
            raise ExpressionInvalid(f"it has {len(text)} characters, more than {MAX_CHARACTERS}")
        try:
            self._tree = Parser().parse(text).parsed
            _check_calls(self._tree)
            self.admits({})
        except (JMESPathError, RecursionError, TooLong) as error:
            problem = " ".join(str(error).split())[:300] or type(error).__name__
            raise ExpressionInvalid(f"it does not compile: {problem}") from None

    def admits(self, event: dict[str, Any]) -> bool:
        """Whether what it finds in an event is true: not null, false or empty. What it cannot be asked of is not.

        Raises:
            TooLong: it does not come to an end in time.
        """
        try:
            return _Bounded().finds(self._tree, event)
        except JMESPathTypeError:
            return False
        except RecursionError:
            raise TooLong from None


def _check_calls(node: Any) -> None:
    """Look whether every function is there and is given what it takes, which is only found where it is called.

    Raises:
        JMESPathError: one is not.
    """
    if node["type"] == "function_expression":
        if node["value"] not in _FUNCTIONS:
            raise UnknownFunctionError(f"there is no function {node['value']}()")
        takes, given = _FUNCTIONS[node["value"]]["signature"], len(node["children"])
        if given < len(takes) or (given > len(takes) and not takes[-1].get("variadic")):
            raise UnknownFunctionError(f"{node['value']}() takes {len(takes)} arguments, not {given}")
    for child in node.get("children", ()):
        if isinstance(child, dict):
            _check_calls(child)


class _Bounded(visitor.TreeInterpreter):  # type: ignore[misc]
    """Counts what it looks at and makes."""

    def __init__(self) -> None:
        super().__init__()
        self._left = MAX_STEPS

    def finds(self, tree: Any, value: Any) -> bool:
        """Whether there is something, by JMESPath's own truth."""
        return bool(self._is_true(self.visit(tree, value)))

    def visit(self, node: Any, *args: Any, **kwargs: Any) -> Any:
        self._take(1)
        found = super().visit(node, *args, **kwargs)
        if node["type"] in _MAKES:
            self._weigh(found)
        return found

    def _weigh(self, value: Any) -> None:
        """All that is in it, as often as it is in it: what looks at it later looks at all of that."""
        waiting = [value]
        while waiting:
            one = waiting.pop()
            if isinstance(one, dict):
                waiting += one.values()
            elif isinstance(one, list):
                waiting += one
            self._take(1 + len(one) // _TEXT if isinstance(one, str) else 1)

    def _take(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise TooLong
