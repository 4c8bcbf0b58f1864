"""Following a websocket's frames through any cut of the stream."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dataplane.frames import CLOSE_GOING_AWAY, CLOSE_GOING_AWAY_MASKED, FrameScanner
from tests.dataplane.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MASK,
    PING,
    PONG,
    TEXT,
    frame,
    masked,
)

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


def test_the_goodbyes_are_close_frames_that_say_going_away() -> None:
    payload = (1001).to_bytes(2, "big")

    assert frame(CLOSE, payload) == CLOSE_GOING_AWAY
    assert CLOSE_GOING_AWAY_MASKED[:2] == bytes([0x80 | CLOSE, 0x80 | 2])
    assert masked(CLOSE_GOING_AWAY_MASKED[6:], CLOSE_GOING_AWAY_MASKED[2:6]) == payload


FRAMES = st.lists(
    st.builds(
        lambda kind, size, mask, final: (kind, frame(kind, b"x" * size, mask=mask, final=final)),
        st.sampled_from([CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG]),
        st.one_of(st.integers(0, 130), st.sampled_from(SIZES)),
        st.sampled_from([None, MASK]),
        st.booleans(),
    ),
    max_size=8,
)


@given(FRAMES, st.lists(st.integers(0, 200000), max_size=15))
def test_any_cut_tells_the_same(frames: list[tuple[int, bytes]], places: list[int]) -> None:
    stream = b"".join(data for _, data in frames)
    # For each byte: is it the last one of a frame, and does it belong to a data frame?
    last = [place == len(data) - 1 for _, data in frames for place in range(len(data))]
    active = [kind < CLOSE for kind, data in frames for _ in data]
    # A head that is not complete does not say yet what it belongs to; its last byte does.
    telling = [place >= _head(data) - 1 for _, data in frames for place in range(len(data))]
    edges = [0, *sorted({place % (len(stream) + 1) for place in places}), len(stream)]

    scanner = FrameScanner()
    for start, end in itertools.pairwise(edges):
        expected = any(
            counts and tells
            for counts, tells in zip(active[start:end], telling[start:end], strict=True)
        )
        assert scanner.feed(stream[start:end]) is expected
        assert scanner.at_boundary is (end == 0 or last[end - 1])


def _head(data: bytes) -> int:
    length = data[1] & 0x7F
    return 2 + (4 if data[1] & 0x80 else 0) + {126: 2, 127: 8}.get(length, 0)
