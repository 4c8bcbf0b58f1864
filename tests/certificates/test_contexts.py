"""TLS contexts, in real handshakes over real sockets."""

import asyncio
import os
import ssl
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hubgate.certificates.contexts import client_context, server_context
from hubgate.errors import ConfigError
from hubgate.model import ClientTLS, ServerTLS
from tests.certificates.made import Files, encrypt, make_files
from tests.contract.certificates import FFDHE2048

PATIENCE = 30.0


@dataclass(frozen=True)
class Handshake:
    """What a client and a server agreed on."""

    version: str | None
    cipher: str
    alpn: str | None
    client_certificate: bool


async def shake(
    server: ssl.SSLContext, client: ssl.SSLContext, host: str | None = None
) -> Handshake:
    """Connect `client` to `server` on a free port and exchange a byte; raises what fails."""
    seen: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not seen.done():
            seen.set_result(bool(writer.get_extra_info("peercert")))
        writer.write(await reader.readexactly(1))
        writer.close()

    async with asyncio.timeout(PATIENCE):
        listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server)
        async with listener:
            port = listener.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=client, server_hostname=host or "127.0.0.1"
            )
            try:
                writer.write(b"x")
                # With TLS 1.3 a refused client certificate shows only at the first read.
                await reader.readexactly(1)
                found = writer.get_extra_info("ssl_object")
                cipher = found.cipher()[0]
                return Handshake(
                    found.version(), cipher, found.selected_alpn_protocol(), await seen
                )
            finally:
                writer.transport.abort()


REFUSED = (ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return make_files(tmp_path, hosts=("127.0.0.1", "localhost"))


def server_of(files: Files, **changes: object) -> ssl.SSLContext:
    return server_context(replace(ServerTLS(files.cert, files.key), **changes))  # type: ignore[arg-type]


async def test_both_versions_are_spoken_and_http_1_1_is_agreed(files: Files) -> None:
    newest = await shake(server_of(files), client_context(ClientTLS(ca=files.ca)))
    assert (newest.version, newest.alpn) == ("TLSv1.3", "http/1.1")
    older = client_context(ClientTLS(ca=files.ca))
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    old = await shake(server_of(files), older)
    assert old.version == "TLSv1.2"
    assert old.cipher.startswith("ECDHE-")
    assert "GCM" in old.cipher or "CHACHA20" in old.cipher


async def test_only_the_versions_asked_for(files: Files) -> None:
    only_2 = server_of(files, max_version="TLSv1_2")
    assert (await shake(only_2, client_context(ClientTLS(ca=files.ca)))).version == "TLSv1.2"
    older = client_context(ClientTLS(ca=files.ca))
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(REFUSED):
        await shake(server_of(files, min_version="TLSv1_3"), older)


def test_nothing_older_than_tls_1_2(files: Files) -> None:
    for context in (server_of(files), client_context(ClientTLS())):
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2


async def test_ciphers_of_ones_own(files: Files) -> None:
    server = server_of(files, ciphers="ECDHE-ECDSA-AES128-GCM-SHA256", max_version="TLSv1_2")
    found = await shake(server, client_context(ClientTLS(ca=files.ca)))
    assert found.cipher == "ECDHE-ECDSA-AES128-GCM-SHA256"


def test_ciphers_nobody_knows(files: Files) -> None:
    with pytest.raises(
        ConfigError, match="the cipher list 'RC4-NOT' matches no cipher; write OpenSSL"
    ):
        server_of(files, ciphers="RC4-NOT")


async def test_an_encrypted_key(files: Files) -> None:
    secret = encrypt(files, "open")
    found = await shake(
        server_of(secret, passphrase="open"), client_context(ClientTLS(ca=files.ca))
    )
    assert found.version
    # Without the passphrase nobody is asked for it: it is a mistake at once.
    with pytest.raises(ConfigError, match=r"cannot use certificate .*hub.pem with key .*secret"):
        server_of(secret)


async def test_dhparam(files: Files, tmp_path: Path) -> None:
    (tmp_path / "dh.pem").write_text(FFDHE2048)
    assert server_of(files, dhparam=str(tmp_path / "dh.pem"))
    with pytest.raises(ConfigError, match="cannot use DH parameters"):
        server_of(files, dhparam=files.cert)


async def test_client_certificates_required(files: Files, tmp_path: Path) -> None:
    server = server_of(files, ca=files.ca, request_cert=True, reject_unauthorized=True)
    known = ClientTLS(files.cert, files.key, files.ca)
    assert (await shake(server, client_context(known))).client_certificate
    stranger = make_files(tmp_path, "stranger")
    for tls in (ClientTLS(ca=files.ca), ClientTLS(stranger.cert, stranger.key, files.ca)):
        with pytest.raises(REFUSED):
            await shake(server, client_context(tls))


async def test_client_certificates_requested(files: Files, tmp_path: Path) -> None:
    server = server_of(files, ca=files.ca, request_cert=True)
    known = ClientTLS(files.cert, files.key, files.ca)
    assert (await shake(server, client_context(known))).client_certificate
    assert not (await shake(server, client_context(ClientTLS(ca=files.ca)))).client_certificate
    stranger = make_files(tmp_path, "stranger")
    with pytest.raises(REFUSED):
        await shake(server, client_context(ClientTLS(stranger.cert, stranger.key, files.ca)))


async def test_client_certificates_ignored(files: Files, tmp_path: Path) -> None:
    stranger = make_files(tmp_path, "stranger")
    tls = ClientTLS(stranger.cert, stranger.key, files.ca)
    assert not (await shake(server_of(files), client_context(tls))).client_certificate


async def test_a_target_must_be_known_and_be_the_one_meant(files: Files, tmp_path: Path) -> None:
    server = server_of(files)
    trusting = ClientTLS(ca=files.ca)
    assert await shake(server, client_context(trusting), "localhost")
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        await shake(server, client_context(trusting), "elsewhere.example.org")
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        await shake(server, client_context(ClientTLS()))
    stranger = make_files(tmp_path, "stranger")
    with pytest.raises(ssl.SSLCertVerificationError):
        await shake(server, client_context(ClientTLS(ca=stranger.ca)))


async def test_checks_can_be_given_up(files: Files) -> None:
    server = server_of(files)
    unchecked = client_context(ClientTLS(verify=False))
    assert await shake(server, unchecked, "elsewhere.example.org")
    nameless = client_context(ClientTLS(ca=files.ca, check_hostname=False))
    assert await shake(server, nameless, "elsewhere.example.org")
    with pytest.raises(ssl.SSLCertVerificationError):
        await shake(server, client_context(ClientTLS(check_hostname=False)))


def test_missing_files_are_mistakes(files: Files) -> None:
    for build in (
        lambda: server_context(ServerTLS("none", files.key)),
        lambda: server_context(ServerTLS(files.cert, files.key, ca="none", request_cert=True)),
        lambda: client_context(ClientTLS(ca="none")),
        lambda: client_context(ClientTLS("none", files.key)),
    ):
        with pytest.raises(ConfigError, match="No such file or directory"):
            build()


@pytest.mark.parametrize("endless", ["/dev/zero", "pipe"])
def test_a_file_that_does_not_end_is_a_mistake(files: Files, tmp_path: Path, endless: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    path = str(tmp_path / endless)
    for build in (
        lambda: server_context(ServerTLS(path, files.key)),
        lambda: server_context(ServerTLS(files.cert, files.key, dhparam=path)),
        lambda: server_context(ServerTLS(files.cert, files.key, ca=path, request_cert=True)),
        lambda: client_context(ClientTLS(ca=path)),
    ):
        with pytest.raises(ConfigError, match="it is a pipe or a device, not a file"):
            build()


def test_a_pair_that_does_not_match_is_a_mistake(files: Files, tmp_path: Path) -> None:
    other = make_files(tmp_path, "other")
    with pytest.raises(ConfigError, match="key values mismatch"):
        server_context(ServerTLS(files.cert, other.key))
