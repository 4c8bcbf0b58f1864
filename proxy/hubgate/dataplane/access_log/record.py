"""What the access log tells of a request, and which parts of it are told to nobody."""

from hubgate.errors import HubgateError
from hubgate.http1.request import RequestHead
from hubgate.routing.table import RouteEntry

_FIRST_LETTERS = frozenset(b"UuRr")


class Record:
    """A request; the attributes without a value at first are set when it has ended.

    `begun` and `ended` are in seconds of `time.monotonic`. `head` is None when it
    was malformed; `forwarded` is X-Forwarded-For as a trusted peer sent it. `sent` and `received`
    count bytes of the two bodies; of a tunnel, all that passed. `status` 0: has not ended.
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
    """Find the values of Referer and User-Agent, b"" each if it is not there.

    `fields` are header lines, each with a line end in front.
    """
    referer = agent = b""
    for line in fields.split(b"\r\n")[1:]:
        # Most others are told apart by their first letter alone, in half the time.
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
    """Leave out of a URL what may hold a secret: query, fragment, user and password."""
    url = url.partition(b"?")[0].partition(b"#")[0]
    scheme, mark, rest = url.partition(b"//")
    authority, slash, path = rest.partition(b"/")
    return scheme + mark + authority.rpartition(b"@")[2] + slash + path
