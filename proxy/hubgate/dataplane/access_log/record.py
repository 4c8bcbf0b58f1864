"""What the access log records of a request, and which parts of it are never logged."""

from hubgate.errors import HubgateError
from hubgate.http1.request import RequestHead
from hubgate.routing.table import RouteEntry

_FIRST_LETTERS = frozenset(b"UuRr")


class Record:
    """A request; the attributes without an initial value are set when it has ended.

    `begun` and `ended` are in seconds of `time.monotonic`. `head` is None if it was malformed;
    `forwarded` is X-Forwarded-For as a trusted peer sent it. `sent` and `received` count the
    bytes of the two bodies; for a tunnel, all that passed. `status` is 0 until it has ended.
    """

    __slots__ = (
        "begun",
        "ended",
        "entry",
        "error",
        "forwarded",
        "head",
        "peer",
        "received",
        "sent",
        "status",
    )

    def __init__(self, begun: float) -> None:
        self.begun = begun
        self.ended: float
        self.head: RequestHead | None
        self.peer: str
        self.forwarded: bytes | None
        self.entry: RouteEntry | None
        self.status = 0
        self.sent = 0
        self.received = 0
        self.error: HubgateError | str | None = None

    def __repr__(self) -> str:
        return f"<Record {self.status or 'open'}>"


def referer_and_agent(fields: bytes) -> tuple[bytes, bytes]:
    """Return the values of Referer and User-Agent, b"" for a missing one.

    `fields` are header lines, each preceded by a line end.
    """
    referer = agent = b""
    for line in fields.split(b"\r\n")[1:]:
        # The first letter alone rules out most others, in half the time.
        if line[0] in _FIRST_LETTERS:
            if line[:11].lower() == b"user-agent:":
                agent = line[12:]
                if referer:
                    break
            elif line[:8].lower() == b"referer:":
                referer = line[9:]
                if agent:
                    break
    return referer, agent


def bare_url(url: bytes) -> bytes:
    """Strip from a URL what may hold a secret: query, fragment, user and password."""
    url = url.partition(b"?")[0].partition(b"#")[0]
    scheme, mark, rest = url.partition(b"//")
    authority, slash, path = rest.partition(b"/")
    return scheme + mark + authority.rpartition(b"@")[2] + slash + path
