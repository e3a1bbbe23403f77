"""What to do about the words with which the broker, or TLS before it, ends a link."""

from __future__ import annotations

from service.errors import BrokerLinkEnded, BrokerUnavailable

_URL, _CA = "CATALOG_MIRROR_AMQP__URL", "CATALOG_MIRROR_AMQP__CA_FILE"
_NAME = f"Name the broker in {_URL} as its certificate does, or have the certificate name {{where}}."
_TLS = "The broker's side of TLS refuses ours, its log says why: one that asks for a certificate of ours gets none."

#: Words that are looked for in this order → what to do.
_REMEDIES = (
    ("Hostname mismatch", _NAME),
    ("IP address mismatch", _NAME),
    ("certificate has expired", "Ask the broker's owner for a new certificate; the service goes on by itself then."),
    ("CERTIFICATE_VERIFY_FAILED", f"Set {_CA} to the certificates (PEM) that the broker's certificate leads to."),
    ("WRONG_VERSION_NUMBER", f"That port speaks no TLS: in {_URL} name the port that does (5671), or use amqp://."),
    ("Read 0 bytes", f"If that port speaks TLS, {_URL} begins with amqps://; else the broker's log says why."),
    ("[SSL:", _TLS),
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


def unavailable(problem: str, where: str) -> BrokerUnavailable:
    """The error for a link that could not be made, or ended with these words."""
    for words, remedy in _REMEDIES:
        if words in problem:
            return BrokerLinkEnded(problem=problem[:300], where=where, ask=remedy.format(where=where))
    return BrokerUnavailable(problem=problem[:300], where=where)
