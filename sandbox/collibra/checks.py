"""What the documents say of a body and of query parameters; the first thing that is wrong is told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

MAX_ITEMS = 1000
MAX_LIMIT, DEFAULT_LIMIT, MAX_OFFSET = 500, 10, 2_147_483_647
STATUSES = ("Waiting", "Running", "Completed", "Failed")


class Invalid(Exception):
    """It is not as documented."""


def check_submission(body: Any) -> None:
    """An array of at most 1,000 AggregatedData, in which nothing but what a locator needs is required."""
    if not isinstance(body, list):
        raise Invalid("the body must be an array")
    if len(body) > MAX_ITEMS:
        raise Invalid(f"size must be between 0 and {MAX_ITEMS}")
    for place, item in enumerate(body):
        if not isinstance(item, dict):
            raise Invalid(f"[{place}] must be an object")
        _check_item(f"[{place}]", item)


def _check_item(where: str, item: dict[str, Any]) -> None:
    for name in ("queryCount", "distinctUsers"):
        if name in item and (not isinstance(item[name], int) or isinstance(item[name], bool)):
            raise Invalid(f"{where}.{name} must be an integer")
    if "timePeriod" in item and not isinstance(item["timePeriod"], str):
        raise Invalid(f"{where}.timePeriod must be a string")
    if "toDate" in item:
        _check_time(f"{where}.toDate", item["toDate"])
    if "assetLocator" in item:
        _check_locator(f"{where}.assetLocator", item["assetLocator"])


def _check_locator(where: str, locator: Any) -> None:
    if not isinstance(locator, dict):
        raise Invalid(f"{where} must be an object")
    if not isinstance(locator.get("type"), str):
        raise Invalid(f"{where}.type is required")
    if "product" in locator and not isinstance(locator["product"], str):
        raise Invalid(f"{where}.product must be a string")
    keys = locator.get("keys")
    if not isinstance(keys, list) or not keys or not all(isinstance(key, str) for key in keys):
        raise Invalid(f"{where}.keys must be an array of at least one string")


def _check_time(where: str, value: Any) -> None:
    """RFC 3339: a date, a time, and an offset."""
    try:
        if not isinstance(value, str) or "T" not in value or datetime.fromisoformat(value).tzinfo is None:
            raise ValueError
    except ValueError:
        raise Invalid(f"{where} must be a date-time") from None


def page_of(query: Mapping[str, str]) -> tuple[str | None, int, int]:
    """Status, offset and limit of a listing of jobs."""
    status = query.get("status")
    if status is not None and status not in STATUSES:
        raise Invalid(f"status must be one of {', '.join(STATUSES)}")
    offset = _number(query, "offset", 0, 0, MAX_OFFSET)
    return status, offset, _number(query, "limit", DEFAULT_LIMIT, 1, MAX_LIMIT)


def _number(query: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = query.get(name, str(default))
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise Invalid(f"{name} must be between {least} and {most}")
    return int(text)
