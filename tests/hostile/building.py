"""Pieces that requests of the corpus are built from."""

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: hub\r\n\r\n"
"""A second request that may never reach a target when it hides in a first one."""


def lines(*parts: bytes) -> bytes:
    """Return the parts as lines, and an empty line."""
    return b"".join(part + b"\r\n" for part in (*parts, b""))


def get(path: bytes = b"/a", *fields: bytes, host: bytes = b"hub") -> bytes:
    """Return a GET whose extra field lines are `fields`."""
    return lines(b"GET " + path + b" HTTP/1.1", b"Host: " + host, *fields)


def post(*fields: bytes, body: bytes = b"", path: bytes = b"/a") -> bytes:
    """Return a POST with `body` behind it, framed by nothing but what `fields` say."""
    return lines(b"POST " + path + b" HTTP/1.1", b"Host: hub", *fields) + body


def chunked(*fields: bytes, body: bytes = b"0\r\n\r\n", path: bytes = b"/a") -> bytes:
    """Return a chunked POST; `body` is what follows the head, chunk framing included."""
    return post(b"Transfer-Encoding: chunked", *fields, body=body, path=path)


def sized(size: int | bytes, *fields: bytes, body: bytes = b"") -> bytes:
    """Return a POST whose Content-Length is `size` as it is."""
    value = b"%d" % size if isinstance(size, int) else size
    return post(b"Content-Length: " + value, *fields, body=body)
