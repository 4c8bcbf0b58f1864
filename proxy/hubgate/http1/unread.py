"""What a peer has sent and nobody has looked at yet."""


class Unread:
    """Holds such bytes in `unread`; empty when there are none."""

    __slots__ = ("_at", "unread")

    def __init__(self) -> None:
        self.unread = b""
        # What precedes it has been looked at: cutting it off each time would copy all the rest.
        self._at = 0

    def store(self, data: bytes) -> None:
        """Take the next bytes without looking at them."""
        self.unread, self._at = self.unread[self._at :] + data, 0

    def forget_unread(self) -> None:
        """Give up what has not been looked at."""
        self.unread, self._at = b"", 0

    def _next(self, end: int) -> bytes:
        """Take the bytes of `unread` up to `end`."""
        data = self.unread[self._at : end]
        if end < len(self.unread):
            self._at = end
        else:
            self.forget_unread()
        return data
