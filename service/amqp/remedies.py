"""What to do about the words with which the broker, or TLS before it, ends a link."""

from __future__ import annotations

from service.errors import BrokerLinkEnded, BrokerUnavailable
from service.settings import trust

_URL = "CATALOG_MIRROR_AMQP__URL"
_CERTIFICATE = "CATALOG_MIRROR_AMQP__CERT_FILE and CATALOG_MIRROR_AMQP__KEY_FILE"

#: Words that are looked for in this order → what to do.
_REMEDIES = (
    ("WRONG_VERSION_NUMBER", f"That port speaks no TLS: in {_URL} name the port that does (5671), or use amqp://."),
    ("Read 0 bytes", f"If that port speaks TLS, {_URL} begins with amqps://; else the broker's log says why."),
    (
        "CONNECTION_FORCED",
        "Somebody on the broker's side ended it, or the broker stops: its log says who. "
        "The service connects again by itself.",
    ),
    (
        "delivery acknowledgement",
        "The broker's consumer_timeout is shorter than a batch takes to commit: look why the store is slow, "
        "or ask the broker's owner for a longer one.",
    ),
)
#: A broker refuses a certificate after TLS has begun, by an alert and a reset; the reset may arrive first.
_RESET, _RESET_REMEDY = (
    "connection reset",
    (
        "The broker's log says why it ended TLS at once: where it asks for a certificate of ours, or does not take it, "
        f"look at {_CERTIFICATE}. The service goes on by itself."
    ),
)


def unavailable(problem: str, where: str, *, opening: bool = False) -> BrokerUnavailable:
    """The error for a link that could not be made (`opening`), or ended, with these words."""
    remedies = (*_REMEDIES, (_RESET, _RESET_REMEDY)) if opening and where.startswith("amqps") else _REMEDIES
    known = (remedy for words, remedy in remedies if words in problem)
    ask = next(known, None) or trust.advice(problem, "AMQP")
    if ask is None:
        return BrokerUnavailable(problem=problem[:300], where=where)
    return BrokerLinkEnded(problem=problem[:300], where=where, ask=ask)
