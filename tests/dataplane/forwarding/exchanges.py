"""Requests and responses in each framing, and an exchange that ends with the last byte."""

from tests.dataplane.peers import Front, Target
from tests.dataplane.wire import Message, Wire, chunked, request

GET = request("GET", "/")
GET_10 = b"GET / HTTP/1.0\r\nHost: hub\r\n\r\n"
GET_10_KEPT = b"GET / HTTP/1.0\r\nHost: hub\r\nConnection: keep-alive\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"hel", b"lo")
UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\nhello"


async def closing_exchange(
    front: Front, target: Target, sent: bytes, answer: bytes
) -> tuple[Message, Wire]:
    """Send a request, give an answer and close; return the response and the client."""
    client = await front.client()
    await client.send(sent)
    wire = await target.accept()
    await wire.read_request()
    await wire.send(answer)
    wire.close()
    return await client.read_response(), client
