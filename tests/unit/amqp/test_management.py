"""What the management API's answer about our queue means, in the forms of RabbitMQ 3.10, 4.0 and 4.3."""

from typing import Any

import pytest

from service.amqp.management import QueueReport, report_of

MIB = 1024 * 1024


def _report(major: int = 3, **queue: Any) -> QueueReport:
    return report_of({"type": "quorum", **queue}, 50_000, major)


@pytest.mark.parametrize(
    ("queue", "major", "limit"),
    [
        ({"arguments": {"x-delivery-limit": 10_000}}, 3, 10_000),
        ({"arguments": {"x-delivery-limit": 10_000}, "effective_policy_definition": {"delivery-limit": 5}}, 3, 5),
        ({"arguments": {"x-delivery-limit": 5}, "effective_policy_definition": {"delivery-limit": 10_000}}, 4, 5),
        ({"arguments": {}}, 3, None),
        ({"arguments": {}}, 4, 20),
        ({"arguments": [], "effective_policy_definition": []}, 4, 20),  # how some versions say that there are none
        ({"arguments": {"x-delivery-limit": -1}}, 4, None),
        ({"arguments": {"x-delivery-limit": -1}, "delivery_limit": "unlimited"}, 4, None),
        ({"arguments": {"x-delivery-limit": 10_000}, "delivery_limit": 10_000}, 4, 10_000),
        ({"arguments": {"x-delivery-limit": 10_000}, "delivery_limit": 7}, 4, 7),  # 4.3 knows operator policies
        ({"arguments": {}, "delivery_limit": 20}, 4, 20),
        ({"type": "classic", "arguments": {}}, 4, None),
    ],
)
def test_the_delivery_limit_in_force_is_the_lowest_that_is_told(
    queue: dict[str, Any], major: int, limit: int | None
) -> None:
    report = _report(major, **queue)
    assert report.delivery_limit == limit
    assert report.drops_soon is (limit is not None and limit < 100)


@pytest.mark.parametrize(
    ("messages", "used", "full"),
    [
        (10, 50_000, True),
        (9, 45_324, True),  # 4.3 counts 36 bytes more for each message: a tenth has no room
        (8, 40_000, False),
        (1000, 48_000, False),
        (1000, 49_000, True),
        (0, 0, False),
    ],
)
def test_it_is_full_when_one_more_like_those_in_it_has_no_room(messages: int, used: int, full: bool) -> None:
    assert _report(messages=messages, message_bytes=used).is_full is full


def test_a_lower_bound_of_a_policy_counts() -> None:
    report = _report(message_bytes=900, messages=90, effective_policy_definition={"max-length-bytes": 1000})
    assert (report.bytes_max, report.bytes_free, report.is_full) == (1000, 100, False)


def test_what_the_api_does_not_tell_yet_is_neither_full_nor_lost() -> None:
    report = _report()
    assert (report.bytes_used, report.bytes_free, report.messages, report.tally) == (None, None, None, None)
    assert not report.is_full
    assert not report.is_half_full


@pytest.mark.parametrize(("online", "well"), [(3, True), (2, True), (1, False), (0, False)])
def test_more_than_half_of_the_members_make_a_majority(online: int, well: bool) -> None:
    assert _report(members=["a", "b", "c"], online=["a", "b", "c"][:online]).has_majority is well


def test_a_classic_queue_needs_no_majority() -> None:
    assert report_of({"type": "classic"}, MIB, 3).has_majority
