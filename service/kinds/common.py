"""Fields that many kinds have."""

from __future__ import annotations

from service.kinds.model import Field, text, time


def name(at: str) -> Field:
    """Its name."""
    return text("name", at, "As the catalog shows it")


def description(at: str) -> Field:
    """What people wrote about it."""
    return text("description", at, "As the catalog shows it")


def created(at: str) -> Field:
    """When it was made."""
    return time("created_at", at, "When it was created")


def updated(at: str) -> Field:
    """When it was last changed."""
    return time("updated_at", at, "When it was last changed, as the catalog says")
