"""The loop that the supervisor runs on."""

import asyncio
from collections.abc import Callable, Mapping

import uvloop


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run every test here on uvloop."""
    return {"uvloop": uvloop.new_event_loop}
