"""Who gets a response in these tests: it only keeps what it is told."""

from hubgate.errors import UpstreamError
from hubgate.http1.message import RawHeaders
from hubgate.http1.response import ResponseHead
from tests.dataplane.peers import until


class Recorder:
    """A Receiver that notes everything; `calls` names the methods in order."""

    def __init__(self) -> None:
        self.informational: list[tuple[int, RawHeaders]] = []
        self.head: ResponseHead | None = None
        self.body = b""
        self.ended = False
        self.error: UpstreamError | None = None
        self.switched: ResponseHead | None = None
        self.leftover = b""
        self.writable: list[bool] = []
        self.heads = 0
        self.ends = 0

    def on_informational(self, head: ResponseHead) -> None:
        self.informational.append((head.status, head.headers))

    def on_response(self, head: ResponseHead | None, body: bytes, ended: bool) -> None:
        assert not self.ended, "a part came after the end"
        if head is not None:
            self.heads += 1
            self.head = head
        assert self.head is not None, "a body came before its head"
        self.body += body
        self.ended = ended

    def on_switched(self, head: ResponseHead, leftover: bytes) -> None:
        self.switched, self.leftover = head, leftover

    def on_upstream_lost(self, error: UpstreamError) -> None:
        assert self.error is None, "it was lost twice"
        self.error = error

    def on_upstream_writable(self, writable: bool) -> None:
        self.writable.append(writable)

    @property
    def finished(self) -> bool:
        """Whether anything final has come."""
        return self.ended or self.error is not None or self.switched is not None

    async def finish(self) -> None:
        """Wait for the end, whichever it is."""
        await until(lambda: self.finished, "the response ends")
