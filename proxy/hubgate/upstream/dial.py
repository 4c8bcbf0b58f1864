"""Opening a connection to a peer: TCP, TLS or a unix socket, in bounded time."""

import asyncio
import ssl
from collections.abc import Callable
from typing import TypeVar

from hubgate.errors import ConnectError, RefusedError
from hubgate.routing.target import Peer

P = TypeVar("P", bound=asyncio.Protocol)


async def connect(
    peer: Peer, factory: Callable[[], P], tls: ssl.SSLContext | None, timeout: float
) -> P:
    """Connect to `peer` within `timeout` seconds and return the protocol `factory` made.

    Raises ConnectError, or RefusedError if nothing listens there; its text names the peer and
    the reason.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(timeout):
            if peer.unix is not None:
                _, protocol = await loop.create_unix_connection(factory, peer.unix)
            else:
                _, protocol = await loop.create_connection(
                    factory,
                    peer.host,
                    peer.port,
                    ssl=tls if peer.tls else None,
                    server_hostname=peer.host if peer.tls else None,
                )
    except TimeoutError:
        raise ConnectError(f"{peer} did not accept a connection within {timeout:g} s") from None
    except (ConnectionRefusedError, FileNotFoundError) as error:
        raise RefusedError(f"cannot connect to {peer}: {_reason(error)}") from None
    except (OSError, ssl.SSLError, ssl.CertificateError, UnicodeError) as error:
        raise ConnectError(f"cannot connect to {peer}: {_reason(error)}") from None
    return protocol


def _reason(error: Exception) -> str:
    text = getattr(error, "verify_message", "") or getattr(error, "strerror", None) or str(error)
    return text or type(error).__name__
