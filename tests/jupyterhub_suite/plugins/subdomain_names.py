"""A pytest plugin: every name under the hub's domain is this machine, without a name server."""

import os
import socket
from typing import Any
from urllib.parse import urlsplit

DOMAIN = urlsplit(os.environ.get("JUPYTERHUB_TEST_SUBDOMAIN_HOST", "")).hostname
_ask_resolver = socket.getaddrinfo


def _resolve(host: Any, *rest: Any, **options: Any) -> Any:
    name = host.decode() if isinstance(host, bytes) else host
    if DOMAIN and isinstance(name, str) and (name == DOMAIN or name.endswith(f".{DOMAIN}")):
        host = "127.0.0.1"
    return _ask_resolver(host, *rest, **options)


socket.getaddrinfo = _resolve
