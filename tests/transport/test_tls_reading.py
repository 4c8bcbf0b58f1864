"""What is read of a TLS connection at once: all there is, and no more."""

import os
import ssl
import tracemalloc
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from hubgate.certificates.contexts import client_context, server_context
from hubgate.model import ClientTLS, ServerTLS
from tests.certificates.made import make_files


@dataclass(frozen=True)
class Pair:
    """Both ends of a connection in memory; what the client writes is what the server has."""

    client: ssl.SSLObject
    server: ssl.SSLObject
    to_server: ssl.MemoryBIO


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    files = make_files(tmp_path, hosts=("127.0.0.1", "localhost"))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = server_context(ServerTLS(files.cert, files.key)).wrap_bio(
        to_server, to_client, server_side=True
    )
    trusting = client_context(ClientTLS(ca=files.ca))
    client = trusting.wrap_bio(to_client, to_server, server_hostname="localhost")
    for side in (client, server) * 3:
        with suppress(ssl.SSLWantReadError):
            side.do_handshake()
    return Pair(client, server, to_server)


@pytest.mark.parametrize("size", [1, 600, 16_384, 16_385, 100_000])
def test_a_read_gives_all_there_is_and_takes_no_more_room(pair: Pair, size: int) -> None:
    data = os.urandom(size)
    pair.client.write(data)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        got = pair.server.read(1 << 18)
        assert tracemalloc.get_traced_memory()[1] - before < max(size, 16_384) + 4096
    finally:
        tracemalloc.stop()
    assert got == data
    assert not pair.server.pending()
    with pytest.raises(ssl.SSLWantReadError):
        pair.server.read(1 << 18)


def drain(pair: Pair) -> list[bytes]:
    """Read as uvloop does: as long as there is anything, b"" being the end."""
    got = []
    while (pair.to_server.pending or pair.server.pending()) and (not got or got[-1]):
        got.append(pair.server.read(1 << 18))
    return got


def test_more_than_one_read_takes_comes_with_the_next(pair: Pair) -> None:
    data = os.urandom(700_000)
    pair.client.write(data)
    got = drain(pair)
    assert b"".join(got) == data
    assert len(got) == 3


def test_a_record_that_is_cut_is_waited_for(pair: Pair) -> None:
    data = os.urandom(40_000)
    pair.client.write(data)
    sent = pair.to_server.read()
    pair.to_server.write(sent[:-5])
    first = pair.server.read(1 << 18)
    assert first == data[: 2 * 16_384]
    pair.to_server.write(sent[-5:])
    assert first + pair.server.read(1 << 18) == data


@pytest.mark.parametrize("size", [3, 40_000])
def test_an_end_right_behind_the_data_is_not_missed(pair: Pair, size: int) -> None:
    data = os.urandom(size)
    pair.client.write(data)
    with suppress(ssl.SSLWantReadError):
        pair.client.unwrap()
    assert drain(pair) == [data, b""]


@pytest.mark.parametrize("size", [3, 40_000])
def test_a_broken_record_behind_the_data_is_an_error(pair: Pair, size: int) -> None:
    pair.client.write(os.urandom(size))
    pair.to_server.write(b"\x17\x03\x03\x00\x20" + bytes(32))
    with pytest.raises(ssl.SSLError):
        drain(pair)
