"""Following a websocket's frames through any cut of the stream."""

import itertools
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubgate.dataplane.tunnels.frames import (
    CLOSE_GOING_AWAY,
    CLOSE_GOING_AWAY_MASKED,
    MOST_FRAMES,
    FrameScanner,
)
from tests.dataplane.tunnels.frames import MASK
from tests.frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame, masked

SIZES = [0, 1, 5, 125, 126, 127, 300, 65535, 65536, 70000]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("mask", [None, MASK])
def test_a_frame_ends_where_its_length_says(size: int, mask: bytes | None) -> None:
    data = frame(BINARY, b"x" * size, mask=mask)
    scanner = FrameScanner()
    assert scanner.at_boundary

    assert scanner.feed(data)
    assert scanner.at_boundary

    scanner.feed(data[:-1])
    assert not scanner.at_boundary
    scanner.feed(data[-1:])
    assert scanner.at_boundary


@pytest.mark.parametrize("kind", [CONTINUATION, TEXT, BINARY, 3, 7])
def test_data_frames_are_activity(kind: int) -> None:
    assert FrameScanner().feed(frame(kind))
    assert FrameScanner().feed(frame(kind, b"x", mask=MASK, final=False, rsv=4))


@pytest.mark.parametrize("kind", [PING, PONG, CLOSE])
@pytest.mark.parametrize("payload", [b"", b"x" * 125])
def test_control_frames_are_none(kind: int, payload: bytes) -> None:
    scanner = FrameScanner()

    assert not scanner.feed(frame(kind, payload, mask=MASK))
    assert not scanner.feed(frame(kind, payload) * 3)
    assert scanner.at_boundary


def test_a_data_frame_among_control_frames_is_noticed() -> None:
    stream = frame(PING, b"a") + frame(TEXT, b"b") + frame(PONG, b"c")

    assert FrameScanner().feed(stream)


def test_each_part_of_a_data_frame_is_activity() -> None:
    data = frame(BINARY, b"x" * 1000)
    scanner = FrameScanner()

    assert scanner.feed(data[:100])
    assert scanner.feed(data[100:500])
    assert scanner.feed(data[500:] + frame(PING))
    assert not scanner.feed(frame(PING))


def test_the_rest_of_a_control_frame_is_no_activity() -> None:
    data = frame(PING, b"x" * 100)
    scanner = FrameScanner()

    assert not scanner.feed(data[:50])
    assert not scanner.feed(data[50:])
    assert scanner.feed(frame(TEXT))


def test_many_tiny_frames_are_not_followed() -> None:
    scanner = FrameScanner()

    assert scanner.feed(frame(PING) * 5000)
    assert scanner.lost
    assert not scanner.at_boundary


def test_a_stream_is_followed_again_once_a_read_is_of_whole_frames() -> None:
    burst = frame(TEXT, b"x" * 20) * 5000
    scanner = FrameScanner()
    assert scanner.feed(burst[:70001])
    assert scanner.feed(burst[70001:])
    assert scanner.lost

    assert not scanner.feed(frame(PING))
    assert scanner.at_boundary
    assert scanner.feed(frame(TEXT, b"y"))


def test_what_cannot_be_whole_frames_counts_as_data() -> None:
    scanner = FrameScanner()
    scanner.feed(frame(PING) * 5000)

    assert scanner.feed(frame(PONG, b"x" * 100)[:50])
    assert scanner.lost
    assert not scanner.feed(frame(PING, b"a") + frame(PONG, b"b"))
    assert not scanner.lost


def test_as_many_frames_as_one_read_may_hold_are_told_apart() -> None:
    scanner = FrameScanner()

    assert not scanner.feed(frame(PING) * MOST_FRAMES)
    assert scanner.at_boundary


def test_the_goodbyes_are_close_frames_that_say_going_away() -> None:
    payload = (1001).to_bytes(2, "big")

    assert frame(CLOSE, payload) == CLOSE_GOING_AWAY
    assert CLOSE_GOING_AWAY_MASKED[:2] == bytes([0x80 | CLOSE, 0x80 | 2])
    assert masked(CLOSE_GOING_AWAY_MASKED[6:], CLOSE_GOING_AWAY_MASKED[2:6]) == payload


class Shape(NamedTuple):
    """A frame to be; the frame itself would be too much to show when a test fails."""

    kind: int
    size: int
    mask: bytes | None
    final: bool


SHAPES = st.lists(
    st.builds(
        Shape,
        st.sampled_from([CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG]),
        st.one_of(st.integers(0, 130), st.sampled_from(SIZES)),
        st.sampled_from([None, MASK]),
        st.booleans(),
    ),
    max_size=8,
)


@given(SHAPES, st.lists(st.integers(0, 200000), max_size=15))
def test_any_cut_tells_the_same(shapes: list[Shape], places: list[int]) -> None:
    frames = [
        (kind, frame(kind, b"x" * size, mask=mask, final=final))
        for kind, size, mask, final in shapes
    ]
    stream = b"".join(data for _, data in frames)
    ends = [0, *itertools.accumulate(len(data) for _, data in frames)]
    # A head that is not complete does not say yet what it belongs to; its last byte does.
    active = [
        (end - len(data) + _head(data) - 1, end)
        for (kind, data), end in zip(frames, ends[1:], strict=True)
        if kind < CLOSE
    ]
    edges = [0, *sorted({place % (len(stream) + 1) for place in places}), len(stream)]

    scanner = FrameScanner()
    for start, end in itertools.pairwise(edges):
        expected = any(start < until and end > since for since, until in active)
        assert scanner.feed(stream[start:end]) is (expected and end > start)
        assert scanner.at_boundary is (end in ends)


def _head(data: bytes) -> int:
    length = data[1] & 0x7F
    return 2 + (4 if data[1] & 0x80 else 0) + {126: 2, 127: 8}.get(length, 0)
