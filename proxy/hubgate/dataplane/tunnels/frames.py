"""Following a websocket's frames (RFC 6455, section 5.2) without changing a byte of them."""

CLOSE_GOING_AWAY = b"\x88\x02\x03\xe9"
# A client's frames are masked (section 5.3); an all-zero mask leaves the payload readable.
CLOSE_GOING_AWAY_MASKED = b"\x88\x82\x00\x00\x00\x00\x03\xe9"


# More frames than this in one read are not followed. Their number is the peer's choice: following
# 32,000 empty ones would hold up everybody else for 10 ms.
MOST_FRAMES = 64
_LOST = -1


class FrameScanner:
    """Tells data frames from control frames, and whether the stream is between two frames.

    A stream of many tiny frames is lost sight of, and counts as data, until a read consists of
    whole frames again; after a burst, the next message usually does.
    """

    __slots__ = ("_data", "_head", "_left")

    def __init__(self) -> None:
        # Bytes until the current frame ends; _LOST if that is not known.
        self._left = 0
        self._head = b""
        self._data = False

    @property
    def at_boundary(self) -> bool:
        """True when every frame seen so far is complete."""
        return not self._left and not self._head

    @property
    def lost(self) -> bool:
        """True while the stream is not followed."""
        return self._left == _LOST

    def feed(self, chunk: bytes) -> bool:
        """Read the next bytes; return True when any belong to a data frame, or may do so."""
        size = len(chunk)
        if size > 3 and not self._left and not self._head:
            # One whole frame, as most messages arrive.
            length = chunk[1] & 0x7F
            total = 2 + length if length < 126 else 4 + (chunk[2] << 8 | chunk[3])
            if chunk[1] & 0x80:
                total += 4
            if total == size and length != 127:
                return chunk[0] & 0x08 == 0
        if self._left != _LOST:
            return self._follow(chunk)
        self._left = 0
        active = self._follow(chunk)
        if not self.at_boundary:
            self._lose()
        return active or self.lost

    def _lose(self) -> None:
        self._left, self._head = _LOST, b""

    def _follow(self, chunk: bytes) -> bool:
        active = False
        position, size = 0, len(chunk)
        if self._left:
            active = self._data
            taken = min(self._left, size)
            self._left -= taken
            position = taken
        for _ in range(MOST_FRAMES):
            if position >= size:
                return active
            if self._head:
                need = _head_size(self._head) - len(self._head)
                self._head += chunk[position : position + need]
                position += need
                head, start = self._head, 0
            else:
                head, start = chunk, position
            total = _frame_size(head, start)
            if total is None:
                # The frame's head is cut: keep what is there until the rest of it arrives.
                if not self._head:
                    self._head = chunk[position:]
                    position = size
                continue
            self._head = b""
            self._data = head[start] & 0x08 == 0
            active = active or self._data
            if head is chunk:
                position = start + total
            else:
                position += total - len(head)
            if position > size:
                self._left = position - size
        if position < size:
            self._lose()
            return True
        return active


def _head_size(head: bytes) -> int:
    """Return how long a frame's head is, or how much of it is needed to tell."""
    if len(head) < 2:
        return 2
    length = head[1] & 0x7F
    return 2 + (2 if length == 126 else 8 if length == 127 else 0) + (4 if head[1] & 0x80 else 0)


def _frame_size(data: bytes, start: int) -> int | None:
    """Return the size of the frame at `start`, head included; None when its head is cut."""
    if len(data) - start < 2:
        return None
    second = data[start + 1]
    length = second & 0x7F
    head = 2 + (4 if second & 0x80 else 0)
    if length == 126:
        head += 2
        length = int.from_bytes(data[start + 2 : start + 4], "big")
    elif length == 127:
        head += 8
        length = int.from_bytes(data[start + 2 : start + 10], "big")
    return head + length if len(data) - start >= head else None
