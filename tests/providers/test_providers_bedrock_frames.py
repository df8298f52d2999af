"""The AWS event stream encoding: what is written is read, in pieces of any size, and botocore agrees."""

from __future__ import annotations

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from spark_cache.providers.bedrock.frames import FrameReader, event_frame

_EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["messageStart", "contentBlockDelta", "messageStop", "metadata"]),
        st.dictionaries(st.text(max_size=5), st.text(max_size=40) | st.integers(), max_size=3),
    ),
    max_size=5,
)


@given(events=_EVENTS, size=st.integers(1, 50))
def test_what_is_written_is_read(events, size):
    """A stream that arrives in small pieces gives the events that were written."""
    data = b"".join(event_frame(kind, payload) for kind, payload in events)
    reader = FrameReader()
    read = [event for at in range(0, len(data), size) for event in reader.feed(data[at : at + size])]
    assert read == [{kind: payload} for kind, payload in events]
    assert reader.has_ended == any(kind == "metadata" for kind, _ in events)


def test_botocore_reads_it():
    """The SDK reads the same event, headers and checksums included."""
    buffer = EventStreamBuffer()
    buffer.add_data(event_frame("messageStop", {"stopReason": "end_turn"}))
    (event,) = buffer
    assert event.headers == {
        ":event-type": "messageStop",
        ":content-type": "application/json",
        ":message-type": "event",
    }
    assert event.payload == b'{"stopReason": "end_turn"}'


@pytest.mark.parametrize(
    "data",
    [
        b"<html>an error page, not a stream</html>",
        bytes(16),
        event_frame("throttlingException", {"message": "Slow down."}, is_error=True),
    ],
    ids=["text", "zeros", "exception"],
)
def test_what_is_no_event_is_refused(data):
    """Other bytes, and an exception in place of an event, are a ``ValueError``."""
    with pytest.raises(ValueError, match="the frame is"):
        list(FrameReader().feed(data))
