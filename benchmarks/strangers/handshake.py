"""The beginning of a TLS handshake as bytes, to be sent without a TLS library."""

import ssl


def client_hello() -> bytes:
    """Return a ClientHello for TLS 1.2 and 1.3, with a key share that OpenSSL accepts."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    connection = context.wrap_bio(incoming, outgoing)
    try:
        connection.do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise RuntimeError("a handshake that waits for no answer")
