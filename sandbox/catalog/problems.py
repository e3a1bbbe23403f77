"""What the catalog refuses, and in which words."""

from __future__ import annotations


class Problem(Exception):
    """An answer that is no success; the server puts it into the envelope of the service asked."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def bad_request(message: str) -> Problem:
    """400: a parameter is missing, out of its bounds, or does not go with another."""
    return Problem(400, "invalid_parameter", message)


def not_found(what: str, name: str) -> Problem:
    """404, also for what lies in the trash."""
    return Problem(404, "does_not_exist", f"ASTSV3024E: The {what} '{name}' does not exist.")


def gone(what: str, name: str) -> Problem:
    """410: was there."""
    return Problem(410, "gone", f"The {what} '{name}' was deleted.")


def forbidden(what: str) -> Problem:
    """403: the caller's role does not allow it, or a policy forbids it; says nothing about existence."""
    return Problem(403, "not_authorized", f"ASTSV3027E: Access to {what} is not permitted.")
