"""Fields of foreign clients: what cannot be read costs the field, never the connection."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import commands, decode, frame
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from service.amqp import wire

wire.install()


@given(st.binary(max_size=255))
def test_any_short_text_is_read_and_its_length_kept(text: bytes) -> None:
    consumed, value = decode.by_type(bytes([len(text)]) + text + b"rest", "shortstr")
    assert consumed == 1 + len(text)
    assert isinstance(value, str)
    value.encode()


@given(st.integers(0, 2**64 - 1))
def test_any_timestamp_is_read_or_no_time(value: int) -> None:
    consumed, _ = decode.by_type(value.to_bytes(8, "big"), "timestamp")
    assert consumed == 8


@given(st.binary(max_size=300))
def test_any_table_is_read_or_empty_and_its_length_kept(content: bytes) -> None:
    consumed, value = decode.by_type(len(content).to_bytes(4, "big") + content, "table")
    assert consumed == 4 + len(content)
    assert isinstance(value, dict)


def test_a_table_that_nests_thousands_of_levels_is_empty() -> None:
    table = b""
    for _ in range(5000):
        table = b"\x01aF" + len(table).to_bytes(4, "big") + table
    assert decode.by_type(len(table).to_bytes(4, "big") + table, "table") == (4 + len(table), {})


@given(
    st.text(max_size=60),
    st.text(max_size=36),
    st.binary(max_size=400),
    st.integers(1, 65535),
    st.dictionaries(st.text(max_size=20), st.text(max_size=60), max_size=3),
    st.sampled_from(["application/json", "application/cloudevents+json"]),
)
def test_published_frames_are_what_the_client_itself_would_write(
    key: str, message_id: str, body: bytes, channel: int, headers: dict[str, str], content_type: str
) -> None:
    properties = commands.Basic.Properties(
        message_id=message_id,
        content_type=content_type,
        delivery_mode=2,
        app_id="catalog-mirror",
        headers={**headers} or None,
    )
    expected = frame.marshal(commands.Basic.Publish(exchange="x", routing_key=key, mandatory=True), channel)
    expected += frame.marshal(ContentHeader(properties=properties, body_size=len(body)), channel)
    for start in range(0, len(body), 150):
        expected += frame.marshal(ContentBody(body[start : start + 150]), channel)
    if message_id and len(key.encode()) <= 255:
        assert (
            wire.publish_frames(channel, "x", key, message_id, body, 150, dict(sorted(headers.items())), content_type)
            == expected
        )


def test_a_name_that_the_protocol_has_no_room_for_is_refused() -> None:
    with pytest.raises(ValueError, match="255"):
        wire.publish_frames(1, "x", "k" * 256, "m", b"", 100)
