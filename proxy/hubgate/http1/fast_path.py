"""Requests that need no parser: a whole head, spelled as we would write it.

Most requests are like that, except chunked ones and upgrades, and a client sends nearly the same
header lines again and again: what was read from them is kept for as long as it does. Anything
spelled differently goes to llhttp; both paths read the same from the same bytes.
"""

import re

from hubgate.bounded import ENTRY, ByteCache, keep
from hubgate.errors import HubgateError
from hubgate.http1.message import CANONICAL_NAME, CANONICAL_VALUE, CHUNKED, any_name, split_lines
from hubgate.http1.request import SPECIAL, RequestHead, read_head
from hubgate.model import Limits
from hubgate.routing.paths import resolve_dots

# A header line that means nothing to a proxy.
_FIELD = (
    rb"(?:\r\n(?!" + any_name(SPECIAL) + rb":)"
    # Without "_": read_head drops what might pass for another name.
    rb"[!#$%&'*+.^`|~0-9A-Za-z-]++" + CANONICAL_VALUE + rb")*+"
)
# The header lines of most requests: a Host, perhaps keep-alive or close, and nothing special.
_USUAL = re.compile(
    rb"(" + _FIELD + rb")\r\n[Hh]ost: ([A-Za-z0-9.-]+(?::[0-9]+)?)(" + _FIELD + rb")"
    rb"(?:\r\n[Cc]onnection: ([Kk]eep-[Aa]live|close))?(" + _FIELD + rb")\r\n\r\n"
)
_LINE = re.compile(
    rb"(GET|HEAD|OPTIONS|DELETE|POST|PUT|PATCH) (/[!$&-.0-;=?-Z_a-z|~/%@\[\]]*) HTTP/1\.1"
)
# Everything that may be read without llhttp.
_BLOCK = re.compile(rb"(?:\r\n" + CANONICAL_NAME + CANONICAL_VALUE + rb")++\r\n\r\n")
# Bounds what is kept for one connection, in bytes.
FAST_PATH_LIMIT = 1 << 13
# These bound what is kept for all of them together: in bytes that it really holds, which are
# several times those of the header lines; and in hashes.
_MOST_KNOWN = 1 << 22
_MOST_SEEN = 1 << 10
# Bytes of what was written from one client's lines. Few clients send the same, and each uses few
# routes at a time: this is enough for twenty to thirty.
_MOST_HEADS = 1 << 14
# What a block holds, in bytes: objects of a fixed size, and one for each line.
_HOLDS, _LINE_HOLDS = 512, 48


class HeaderBlock:
    """The header lines of a canonical request, from the request line's end to the blank line.

    `raw` is how they arrived; `head` is what they mean, whatever the request line. `heads` caches
    what was written from them for targets, by route, origin and writer; `keep` adds to it.
    Other clients' connections may send the same lines and share it, but what a target receives also
    identifies the client (the X-Forwarded-* lines), so the origin is part of the key: nothing made
    for one client's connection is ever used for a connection of another origin.

    `home` is where it is counted, if it is shared.
    """

    __slots__ = ("_held", "head", "heads", "home", "raw")

    def __init__(self, raw: bytes, head: RequestHead) -> None:
        self.raw = raw
        self.head = head
        self.heads: dict[tuple[object, object, object], bytes] = {}
        self._held = 0
        self.home: HeaderBlocks | None = None

    @classmethod
    def read(cls, raw: bytes, limits: Limits) -> "HeaderBlock | None":
        """Read header lines; return None if they are not canonical, valid or not."""
        size = len(raw)
        if size > FAST_PATH_LIMIT or size > limits.head:
            return None
        # No line is shorter than four bytes, so most need no counting.
        if size > 4 * limits.headers and raw.count(b"\r\n") - 2 > limits.headers:
            return None
        match = _USUAL.fullmatch(raw)
        head = _read_special(raw) if match is None else RequestHead.usual(*match.groups())
        return None if head is None else cls(raw, head)

    @property
    def held(self) -> int:
        """How many bytes it holds: twice the lines, as they came and as they were read."""
        lines = self.raw.count(b"\r\n")
        return 2 * len(self.raw) + lines * _LINE_HOLDS + _HOLDS + self._held

    def keep(self, key: tuple[object, object, object], written: bytes) -> None:
        """Keep what was written; the latest is always kept, and all earlier go if it is a lot."""
        grown = size = len(written) + ENTRY
        if self._held + size > _MOST_HEADS:
            grown -= self._held
            self.heads.clear()
            self._held = 0
        self._held += size
        self.heads[key] = written
        if self.home is not None:
            self.home.grow(grown)


class HeaderBlocks:
    """The blocks recently read more than once under `limits`, from any client.

    A client that opens a connection for each request sends the same lines on every one. What
    comes only once is not kept: memory that is reused at once is in the processor's cache.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._known: ByteCache[bytes, HeaderBlock] = ByteCache(_MOST_KNOWN)
        self._seen: dict[int, None] = {}

    def __repr__(self) -> str:
        return f"<HeaderBlocks {len(self._known)} known>"

    def read(self, raw: bytes) -> HeaderBlock | None:
        """Read header lines as `HeaderBlock.read` does."""
        block = self._known.get(raw)
        if block is None and (block := HeaderBlock.read(raw, self.limits)) is not None:
            mark = hash(raw)
            if mark in self._seen:
                self._keep(block)
            else:
                keep(self._seen, mark, None, _MOST_SEEN)
        return block

    def grow(self, size: int) -> None:
        """Count what one of the blocks has come to hold, in bytes."""
        self._known.held += size
        if self._known.held > _MOST_KNOWN:
            self._forget()

    def _keep(self, block: HeaderBlock) -> None:
        size = block.held
        if self._known.held + size + ENTRY > _MOST_KNOWN:
            self._forget()
        block.home = self
        self._known.keep(block.raw, block, size)

    def _forget(self) -> None:
        # Connections may go on using them, each the one it has.
        for block in self._known.values():
            block.home = None
        self._known.clear()


def _read_special(raw: bytes) -> RequestHead | None:
    """Read header lines, some of which mean something to a proxy."""
    if _BLOCK.fullmatch(raw) is None:
        return None
    lines = raw[2:-4].split(b"\r\n")
    try:
        head = read_head(b"GET", b"/", "1.1", split_lines(lines))
    except HubgateError:
        return None
    return None if head.body is CHUNKED or head.upgrade or head.expects else head


def read_line(line: bytes, block: HeaderBlock, limits: Limits) -> RequestHead | None:
    """Return the head of a request with that request line, or None if it is not canonical."""
    match = _LINE.fullmatch(line)
    if match is None or len(line) > FAST_PATH_LIMIT or len(line) > limits.request_line:
        return None
    method, target = match.groups()
    if b"/." in target or b"%" in target:
        target = resolve_dots(target)
    return block.head.again(method, target)
