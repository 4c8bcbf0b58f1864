"""How much of what has arrived llhttp is given at once.

It cannot stop half-way, and calls back for every header line and every chunk: a few KiB of one-byte
chunks are thousands of calls, during which nobody else is served.
"""

# In bytes.
SMALLEST = 1 << 11
_LARGEST = 1 << 13
# More callbacks than this for one slice are many.
_MANY = 64


def next_slice(size: int, given: int, made: int) -> int:
    """Return how many bytes to give next, after `given` bytes in a slice of up to `size`.

    `made` is how many callbacks they led to.
    """
    if made > _MANY:
        return SMALLEST
    return _LARGEST if given == size else size
