"""Targets, and connections to them."""

from tests.dataplane.conftest import (
    certificates,
    pytest_asyncio_loop_factories,
    server_tls,
    start_target,
    target,
)

__all__ = ["certificates", "pytest_asyncio_loop_factories", "server_tls", "start_target", "target"]
