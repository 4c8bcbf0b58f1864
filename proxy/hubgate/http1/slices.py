"""How much of what has arrived llhttp is given at once.

It cannot stop half-way, and calls back for every header line and every chunk: a few KiB of one-byte
chunks are thousands of calls, during which nobody else is served.
"""

# In bytes.
_SMALLEST, _LARGEST = 1 << 12, 1 << 14
# More callbacks than this in one slice are many.
_MANY = 64


class Slice:
    """The size of the next slice of one connection, in bytes: smaller where much comes of it."""

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = _SMALLEST

    def __repr__(self) -> str:
        return f"<Slice of {self.size}>"

    def adapt(self, given: int, made: int) -> None:
        """Take into account that `given` bytes led to `made` callbacks."""
        if made > _MANY:
            self.size = _SMALLEST
        elif given == self.size:
            self.size = _LARGEST
