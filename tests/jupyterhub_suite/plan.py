"""What to run: the command line of the suite."""

import argparse
import socket
from dataclasses import dataclass
from enum import Enum

from tests.jupyterhub_suite.bench import Proxy

FILES = (
    *("test_proxy", "test_unix_socket", "test_internal_ssl_connections", "test_services"),
    *("test_named_servers", "test_pages", "test_api", "test_singleuser", "test_app"),
)

DESCRIPTION = """Run JupyterHub's own tests behind CHP and behind hubgate, and compare.
Exits 1 if a test passes behind CHP and not behind hubgate. Reports (JUnit), logs and the
comparison stand in build/jupyterhub-suite/results."""


class Variant(Enum):
    """The ways of running a hub that JupyterHub's tests know."""

    PLAIN = "plain"
    SSL = "ssl"
    SUBDOMAIN = "subdomain"

    def variables(self) -> dict[str, str]:
        """Return the environment variables that make JupyterHub's tests run this way."""
        match self:
            case Variant.PLAIN:
                return {}
            case Variant.SSL:
                return {"SSL_ENABLED": "1"}
            case Variant.SUBDOMAIN:
                # The plugin subdomain_names makes this name, and all below it, this machine.
                return {"JUPYTERHUB_TEST_SUBDOMAIN_HOST": f"http://hub.test:{free_port()}"}


@dataclass(frozen=True)
class Plan:
    """What to run, and for how long: `limit` is seconds for one file."""

    proxies: tuple[Proxy, ...]
    variants: tuple[Variant, ...]
    files: tuple[str, ...]
    limit: int
    retries: int


def parse(words: list[str] | None = None) -> Plan:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser("make jupyterhub-suite", description=DESCRIPTION)
    parser.add_argument("files", nargs="*", default=FILES, help="such as test_proxy; default: all")
    parser.add_argument("--proxy", choices=["both", *(one.value for one in Proxy)], default="both")
    variants = ["all", *(one.value for one in Variant)]
    parser.add_argument("--variant", choices=variants, default=Variant.PLAIN.value)
    parser.add_argument("--limit", type=int, default=1800, help="seconds for each file")
    parser.add_argument("--retries", type=int, default=2, help="further tries of failed tests")
    given = parser.parse_args(words)
    return Plan(
        proxies=tuple(one for one in Proxy if given.proxy in ("both", one.value)),
        variants=tuple(one for one in Variant if given.variant in ("all", one.value)),
        files=tuple(name.removesuffix(".py") for name in given.files),
        limit=given.limit,
        retries=given.retries,
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
        return port
