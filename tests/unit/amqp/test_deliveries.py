"""Deliveries are taken out of the stream of frames, whole and in order; everything else goes on as it came."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands, frame
from pamqp.body import ContentBody
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from service.amqp import wire
from service.amqp.deliveries import Delivery, FrameReader

wire.install()

OURS = 1
LIMIT = 50
HEARTBEAT = frame.marshal(Heartbeat(), 0)


def delivered(channel: int, tag: int, key: str, body: bytes, *, again: bool = False, **properties: Any) -> list[bytes]:
    """The frames of one delivery."""
    told = ContentHeader(properties=commands.Basic.Properties(**properties), body_size=len(body))
    return [
        frame.marshal(commands.Basic.Deliver("tag", tag, again, "an exchange", key), channel),
        frame.marshal(told, channel),
        *(frame.marshal(ContentBody(body[at : at + LIMIT]), channel) for at in range(0, len(body), LIMIT)),
    ]


def others(number: int) -> list[bytes]:
    """Frames that are none of a delivery to us: also the content of a returned message, on our own channel."""
    return [
        [frame.marshal(commands.Basic.ConsumeOk("tag"), OURS)],
        [frame.marshal(commands.Basic.Ack(7, True), 2)],
        delivered(2, 9, "not.ours", b"x" * 70),
        [
            frame.marshal(commands.Basic.Return(312, "NO_ROUTE", "x", "k"), OURS),
            frame.marshal(ContentHeader(body_size=3), OURS),
            frame.marshal(ContentBody(b"abc"), OURS),
        ],
    ][number]


messages = st.tuples(
    st.text(max_size=20), st.binary(max_size=160), st.booleans(), st.none() | st.text(min_size=1, max_size=9),
    st.none() | st.dictionaries(st.sampled_from(["x-delivery-count", "h"]), st.integers(0, 9)),
)  # fmt: skip
streams = st.lists(st.one_of(messages, st.integers(0, 3)), max_size=12)


async def fed(data: bytes, cuts: list[int]) -> tuple[list[Delivery], bytes]:
    """What the sink gets, and what the client, of bytes that come in these pieces."""
    reader, taken = FrameReader(asyncio.get_running_loop()), list[Delivery]()
    reader.deliver(OURS, taken.append)
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    for start, end in pairwise(edges):
        reader.feed_data(data[start:end])
    reader.feed_eof()
    return taken, (await reader.read()).replace(HEARTBEAT, b"", 1 if taken else 0)


@given(streams, st.lists(st.integers(0, 100_000), max_size=12), st.booleans())
def test_what_is_delivered_to_us_comes_whole_and_the_rest_goes_on(
    stream: list[Any], cuts: list[int], interleaved: bool
) -> None:
    data, rest, expected = b"", b"", list[tuple[Any, ...]]()
    for tag, one in enumerate(stream, 1):
        if isinstance(one, int):
            frames = others(one)
            data, rest = data + b"".join(frames), rest + b"".join(frames)
            continue
        key, body, again, message_id, headers = one
        frames = delivered(OURS, tag, key, body, again=again, message_id=message_id, headers=headers)
        if interleaved:  # another channel's frames may come between those of one message
            beside = frame.marshal(commands.Basic.Ack(tag), 2)
            rest += beside * (len(frames) - 1)
            data += beside.join(frames)
        else:
            data += b"".join(frames)
        expected.append((tag, again, key, body, message_id, headers or {}))
    taken, passed = asyncio.run(fed(data, cuts))
    told = [
        (d.tag, d.redelivered, d.routing_key, d.body, d.properties.message_id, d.properties.headers or {})
        for d in taken
    ]
    assert told == expected
    assert passed == rest


async def test_the_client_hears_that_the_broker_lives_while_there_is_nothing_but_deliveries() -> None:
    reader = FrameReader(asyncio.get_running_loop())
    reader.deliver(OURS, lambda _: None)
    for tag in range(3):
        reader.feed_data(b"".join(delivered(OURS, tag, "k", b"x")))
    reader.feed_eof()
    assert await reader.read() == HEARTBEAT


@pytest.mark.parametrize("wrong", [b"AMQP\x00\x00\x09\x01", b"HTTP/1.1 400 Bad Request\r\n", HEARTBEAT[:-1] + b"\x00"])
async def test_what_is_no_frame_is_the_clients_to_judge(wrong: bytes) -> None:
    good = b"".join(delivered(OURS, 1, "k", b"x"))
    taken, passed = await fed(good + wrong + good, [])
    assert len(taken) == 1
    assert passed == wrong + good


@pytest.mark.parametrize("size", [4, 10, 20])
async def test_a_delivery_that_is_cut_off_is_the_clients_to_judge(size: int) -> None:
    payload = (b"\x00\x3c\x00\x3c" + b"\x03tag" + bytes(8))[:size]
    wrong = b"\x01\x00\x01" + len(payload).to_bytes(4, "big") + payload + b"\xce"
    taken, passed = await fed(wrong + b"".join(delivered(OURS, 1, "k", b"x")), [])
    assert not taken
    assert passed.startswith(wrong)


async def test_a_channel_that_ended_gets_nothing_more_and_its_number_may_be_another_ones() -> None:
    reader = FrameReader(asyncio.get_running_loop())
    first, second = list[Delivery](), list[Delivery]()
    sink = first.append
    reader.deliver(OURS, sink)
    reader.deliver(OURS, second.append)
    reader.end(OURS, sink)
    reader.feed_data(b"".join(delivered(OURS, 1, "k", b"x")))
    assert (len(first), len(second)) == (0, 1)


async def test_alike_messages_share_what_is_read_of_their_properties_and_others_do_not() -> None:
    frames = [
        b"".join(delivered(OURS, tag, "k", b"", headers={"h": "v" * length}))
        for tag, length in enumerate((1, 1, 2, 4000, 4000))
    ]
    taken, _ = await fed(b"".join(frames), [])
    assert [(d.properties.headers or {})["h"] for d in taken] == ["v" * length for length in (1, 1, 2, 4000, 4000)]
    assert taken[0].properties is taken[1].properties
    assert taken[3].properties is not taken[4].properties
