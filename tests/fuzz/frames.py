"""The bytes of a tunnel: frames, told apart without changing a byte."""

from hubgate.dataplane.tunnels.frames import MOST_FRAMES, FrameScanner


def split(data: bytes) -> list[tuple[int, int, bool]]:
    """Return where each frame's head ends, where the frame ends, and whether it carries data.

    Written from RFC 6455, section 5.2, and the last frame may end beyond `data`.
    """
    found, at = [], 0
    while len(data) - at >= 2:
        opcode, length = data[at] & 15, data[at + 1] & 127
        wide = {126: 2, 127: 8}.get(length, 0)
        head = at + 2 + wide + (4 if data[at + 1] >> 7 else 0)
        if head > len(data):
            break
        if wide:
            length = int.from_bytes(data[at + 2 : at + 2 + wide], "big")
        at = head + length
        found.append((head, at, opcode < 8))
    return found


def frames(data: bytes) -> None:
    """However the stream is cut, a scanner knows where it stands and what it has seen."""
    known = split(data)
    ends = {0, *(end for _, end, _ in known)}
    for size in (max(1, len(data)), 1 + (data[0] % 13 if data else 0)):
        scanner = FrameScanner()
        for start in range(0, len(data), size):
            end = min(start + size, len(data))
            active = scanner.feed(data[start:end])
            # A frame is in a piece from its head's last byte on.
            here = [carries for head, stop, carries in known if head <= end and start < stop
                    and not (head == stop and head <= start)]  # fmt: skip
            if scanner.lost:
                assert active
                assert len(here) >= MOST_FRAMES // 2
                break
            assert active == any(here)
            assert scanner.at_boundary == (end in ends)
