"""How much of what has arrived llhttp is given at once.

It cannot stop half-way, and calls back for every header line and every chunk: a few KiB of one-byte
chunks are thousands of calls, during which nobody else is served.
"""

# In bytes.
SMALLEST = 1 << 11
_LARGEST = 1 << 13
# More callbacks than this for one slice are many.
_MANY = 64

# Every message that llhttp is given ends with one; what follows it stays unread.
_BLANK_LINE = b"\r\n\r\n"
# How a chunked body ends that has no trailers.
_LAST_CHUNK = b"0\r\n\r\n"
# Of one that does not end sooner, at least this many bytes are read at once, though it may end in
# them with trailers, and requests follow: a blank line may be data, and to stop at each one could
# mean to read four bytes at a time.
_LEAST_OF_BODY = 512


def end_of_head(unread: bytes, start: int, most: int, tail: bytes) -> int:
    """Return up to where a head is read in `unread`, from `start` on: `most` bytes at most.

    `tail` is what was read last, if that was a part of the same head.
    """
    for size in (1, 2, 3):
        if tail.endswith(_BLANK_LINE[:-size]) and unread.startswith(_BLANK_LINE[-size:], start):
            return start + size
    return _end(unread, start, start + most)


def end_of_body(unread: bytes, start: int, most: int) -> int:
    """Return up to where a chunked body is read in `unread`, from `start` on."""
    end = unread.find(_LAST_CHUNK, start, start + _LEAST_OF_BODY)
    if end >= 0:
        return end + len(_LAST_CHUNK)
    return _end(unread, start + _LEAST_OF_BODY, start + most)


def _end(unread: bytes, searched: int, limit: int) -> int:
    end = unread.find(_BLANK_LINE, searched, limit)
    return limit if end < 0 else end + len(_BLANK_LINE)


def next_slice(size: int, given: int, made: int) -> int:
    """Return how many bytes to give next, after `given` bytes in a slice of up to `size`.

    `made` is how many callbacks they led to.
    """
    if made > _MANY:
        return SMALLEST
    return _LARGEST if given == size else size
