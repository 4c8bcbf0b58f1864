"""What hubgate/dataplane/downstream/connection.py relies on inside aiohttp, name by name.

When one of these fails after an update of aiohttp, its message says what changed; the listener
has to follow before the new version may be used.
"""

import ast
import asyncio
import inspect
import socket
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import aiohttp
from aiohttp import web
from aiohttp.base_protocol import BaseProtocol

import hubgate.dataplane
from hubgate.dataplane.downstream.connection import DownstreamConnection
from hubgate.dataplane.downstream.server import DownstreamServer
from hubgate.transport.admission import Admission, PortLimits
from tests.dataplane.peers import Front, until
from tests.dataplane.wire import request

FOLDER = Path(hubgate.dataplane.__file__).parent
FILES = (FOLDER / "downstream" / "connection.py", FOLDER / "downstream" / "server.py")

IMPORTED = {
    "aiohttp.web",
    "aiohttp.base_protocol.BaseProtocol",
}
"""All that connection.py takes from aiohttp."""

INHERITED = {
    "DownstreamConnection": {"_paused", "_task_handler", "transport"},
    "DownstreamServer": {"connections"},
}
"""Attributes of `self` that connection.py uses without defining them."""

CALLED_ON_PARENTS = {"BaseProtocol.__init__"}
CALLED_ON_SERVER = {"connection_made", "connection_lost", "loop"}

CALLBACKS = {
    "connection_made",
    "connection_lost",
    "data_received",
    "eof_received",
    "pause_writing",
    "resume_writing",
}
"""What an event loop calls on a protocol; aiohttp's own versions must never run."""


def relied_on(condition: object, what: str) -> None:
    """Fail with what aiohttp no longer does."""
    assert condition, f"aiohttp {aiohttp.__version__}: {what}, which connection.py relies on"


# --- the list is complete --------------------------------------------------------------------


def class_of(name: str) -> ast.ClassDef:
    nodes = (node for path in FILES for node in ast.parse(path.read_text()).body)
    return next(node for node in nodes if isinstance(node, ast.ClassDef) and node.name == name)


def attributes(tree: ast.AST, owner: str) -> Iterator[str]:
    """Yield the attributes of what is called `owner` (dotted) in the code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) == owner:
            yield node.attr


def defined(node: ast.ClassDef) -> set[str]:
    """Return what a class defines itself: methods, slots, and what it assigns without slots."""
    names = {part.name for part in node.body if isinstance(part, ast.FunctionDef)}
    slots = [ast.literal_eval(p.value) for p in node.body if isinstance(p, ast.Assign)]
    assigned = {
        part.attr
        for part in ast.walk(node)
        if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store)
    }
    return names.union(*slots) if slots else names | assigned


def test_the_list_of_imports_is_complete() -> None:
    imported = {
        f"{node.module}.{name.name}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aiohttp")
        for name in node.names
    }

    assert imported == IMPORTED


def test_the_list_of_attributes_is_complete() -> None:
    for name, inherited in INHERITED.items():
        node = class_of(name)

        assert set(attributes(node, "self")) - defined(node) == inherited, name


def test_the_list_of_calls_is_complete() -> None:
    tree = class_of("DownstreamConnection")
    called = {f"BaseProtocol.{name}" for name in attributes(tree, "BaseProtocol")}

    assert called == CALLED_ON_PARENTS
    assert not list(attributes(tree, "super()"))
    assert set(attributes(tree, "self.server")) == CALLED_ON_SERVER


def test_no_other_file_reaches_into_aiohttp() -> None:
    for path in FOLDER.rglob("*.py"):
        if path not in FILES:
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("aiohttp"):
                    assert ast.unparse(node) == "from aiohttp import web", path


# --- BaseProtocol ----------------------------------------------------------------------------


async def test_a_base_protocol_is_made_of_a_loop() -> None:
    parameters = list(inspect.signature(BaseProtocol.__init__).parameters.values())
    relied_on(parameters[1].name == "loop", "BaseProtocol.__init__ takes no loop first")
    relied_on(
        all(parameter.default is not inspect.Parameter.empty for parameter in parameters[2:]),
        "BaseProtocol.__init__ wants more than a loop",
    )

    bare = BaseProtocol(asyncio.get_running_loop())
    relied_on(bare._paused is False, "BaseProtocol.__init__ does not set _paused to False")
    relied_on(bare.transport is None, "BaseProtocol.__init__ does not set transport to None")


def test_where_the_attributes_live() -> None:
    relied_on("_paused" in BaseProtocol.__slots__, "BaseProtocol has no slot _paused")
    relied_on("transport" in BaseProtocol.__slots__, "BaseProtocol has no slot transport")
    relied_on(
        "_task_handler" in web.RequestHandler.__slots__, "RequestHandler has no slot _task_handler"
    )


def test_a_request_handler_is_a_base_protocol_and_nothing_between() -> None:
    relied_on(
        web.RequestHandler.__mro__[1] is BaseProtocol,
        "something stands between RequestHandler and BaseProtocol, its __init__ is skipped",
    )


def test_connection_made_does_no_more_than_keep_the_transport() -> None:
    source = inspect.getsource(BaseProtocol.connection_made)
    body = [ast.unparse(node) for node in ast.parse(textwrap.dedent(source)).body[0].body]  # type: ignore[attr-defined]

    relied_on(
        body
        == [
            "tr = cast(asyncio.Transport, transport)",
            "tcp_nodelay(tr, True)",
            "self.transport = tr",
        ],
        "BaseProtocol.connection_made, which is not called, does something else than before",
    )


# --- RequestHandler --------------------------------------------------------------------------


def test_none_of_aiohttps_callbacks_is_left() -> None:
    missing = CALLBACKS - vars(DownstreamConnection).keys()
    assert not missing, f"DownstreamConnection leaves {missing} to aiohttp"

    others = {
        name
        for name in (*vars(web.RequestHandler), *vars(BaseProtocol))
        if name in ("get_buffer", "buffer_updated", "pipe_data_received")
    }
    relied_on(not others, f"aiohttp's protocols have the new callbacks {others}")


def test_no_name_is_used_twice() -> None:
    own = {*vars(DownstreamConnection), *DownstreamConnection.__slots__}
    aiohttps = {
        name
        for parent in (web.RequestHandler, BaseProtocol)
        for name in (*vars(parent), *parent.__slots__)
    }
    shared = {name for name in own & aiohttps if not name.startswith("__")}

    relied_on(shared == CALLBACKS, f"it has names of ours now: {shared - CALLBACKS}")


def test_a_connection_has_no_dictionary() -> None:
    missing = [
        cls.__name__
        for cls in DownstreamConnection.__mro__
        if cls is not object and "__slots__" not in vars(cls)
    ]
    relied_on(not missing, f"{missing} have no slots: each connection costs a dictionary more")


# --- Server ----------------------------------------------------------------------------------


def test_a_server_needs_no_more_than_a_handler() -> None:
    parameters = list(inspect.signature(web.Server.__init__).parameters.values())[2:]
    needed = [
        parameter.name
        for parameter in parameters
        if parameter.default is inspect.Parameter.empty
        and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    ]
    relied_on(not needed, f"web.Server wants {needed} besides a handler")


class Plane:
    """As much of a data plane as a DownstreamServer looks at."""

    admission = Admission("public", PortLimits(), time.monotonic)


async def test_a_server_keeps_its_connections() -> None:
    listener = DownstreamServer(
        cast("hubgate.dataplane.downstream.connection.DownstreamServices", Plane())
    )
    protocol = BaseProtocol.__new__(web.RequestHandler)
    protocol._task_handler = None
    transport = asyncio.Transport()
    listener.connection_made(protocol, transport)
    relied_on(
        listener.connections == [protocol],
        "web.Server.connection_made does not add to connections",
    )

    listener.connection_lost(protocol, None)
    relied_on(
        listener.connections == [],
        "web.Server.connection_lost does not forget a connection whose _task_handler is None",
    )
    listener.connection_lost(protocol, None)  # a tunnel's connection is lost a second time


# --- all together ----------------------------------------------------------------------------


async def test_a_real_connection_has_what_aiohttps_have(front: Front) -> None:
    client = await front.client()
    await until(lambda: front.open == 1, "it is there")
    (connection,) = front.plane._listener.clients
    sock = connection.transport.get_extra_info("socket")
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert not hasattr(connection, "__dict__")
    assert connection.writable

    await client.send(request("GET", "/_chp_healthz"))
    assert (await client.read_response()).status == 200
    client.close()
    await until(lambda: not front.plane._listener.clients, "it is forgotten")
