"""Whether a name is looked up or not: the hub's own event loop does not wait for it."""

import asyncio
import socket
import threading
from typing import Any

import pytest

from hubgate.jupyterhub import wait_until_free
from hubgate.tasks import spawn


async def test_a_silent_name_server_does_not_hold_up_the_hub(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answered = threading.Event()

    def silent(*_: object, **__: object) -> list[Any]:
        assert answered.wait(10)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    waiting = spawn(wait_until_free("bind_url", "http://hub.test:8000"), "wait")
    await asyncio.sleep(0.1)
    assert not waiting.done()
    answered.set()
    await waiting
