"""Targets, and connections to them."""

from tests.dataplane.conftest import (
    certificates,
    nothing_failed_in_silence,
    pytest_asyncio_loop_factories,
    refusing,
    server_tls,
    start_target,
    target,
)

__all__ = [
    "certificates",
    "nothing_failed_in_silence",
    "pytest_asyncio_loop_factories",
    "refusing",
    "server_tls",
    "start_target",
    "target",
]
