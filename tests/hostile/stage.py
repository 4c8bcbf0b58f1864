"""Sets the stage: recording targets, and proxies in front of them."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.contract.certificates import make_certificates
from tests.contract.harness import Options, RunningProxy, launch
from tests.contract.ports import free_port
from tests.hostile.conversation import Port
from tests.hostile.entry import Door
from tests.hostile.player import Player
from tests.hostile.recorder import Recorder
from tests.system.served import serving

TARGETS = ("hub", "alice", "bob", "docs", "inner")
ROUTES = {"hub": "/", "alice": "/user/alice", "bob": "/user/bob"}

# Trusts no peer of ours, strips a prefix, has a route for a host: not so the drop-in command.
_NATIVE = """\
forward: {{trusted_peers: [192.0.2.0/24]}}
routes:
  /: {hub}
  /user/alice: {alice}
  /user/bob: {bob}
  /docs: {{target: "{docs}", strip_prefix: true}}
  inner.example.org/: {inner}
"""


@dataclass(frozen=True)
class Stage:
    """A proxy with the doors that it opens."""

    recorder: Recorder
    doors: dict[Door, Port]

    def player(self, door: Door, patience: float = 15.0) -> Player:
        """Return who plays entries at `door`."""
        return Player(self.doors[door], self.recorder, patience, self.doors.get(Door.INSIDE_TLS))


@contextlib.contextmanager
def recording() -> Iterator[Recorder]:
    """Run the targets until the block ends."""
    recorder = Recorder(TARGETS)
    try:
        yield recorder
    finally:
        recorder.stop()


@contextlib.contextmanager
def routed(folder: Path, recorder: Recorder, *flags: str) -> Iterator[RunningProxy]:
    """Run the drop-in command with `flags` and the targets' routes."""
    proxy = launch(Options((*flags, "--log-level", "error")), folder)
    try:
        for name, route in ROUTES.items():
            proxy.add(route, recorder.url(name))
        yield proxy
    finally:
        proxy.kill()


@contextlib.contextmanager
def drop_in(folder: Path) -> Iterator[Stage]:
    """Run the drop-in command on plain HTTP."""
    with recording() as recorder, routed(folder, recorder) as proxy:
        yield Stage(recorder, {Door.DROP_IN: Port(proxy.port)})


@contextlib.contextmanager
def native(folder: Path) -> Iterator[Stage]:
    """Run `proxyctl serve` on plain HTTP."""
    with recording() as recorder:
        urls = {name: recorder.url(name) for name in TARGETS}
        (folder / "routes.yaml").write_text(_NATIVE.format(**urls))
        with serving(folder, "--no-ssl", "--host", "127.0.0.1", "--log-level", "error") as served:
            yield Stage(recorder, {Door.NATIVE: Port(served.port)})


@contextlib.contextmanager
def secure(folder: Path) -> Iterator[Stage]:
    """Run the drop-in command on HTTPS, with a port that redirects there."""
    certificates, redirect = make_certificates(folder), free_port()
    identity = certificates.server
    flags = ["--ssl-key", identity.key, "--ssl-cert", identity.cert]
    flags += ["--redirect-port", str(redirect)]
    with recording() as recorder, routed(folder, recorder, *flags) as proxy:
        inside = Port(proxy.port, certificates.client_context())
        doors = {
            Door.INSIDE_TLS: inside,
            Door.TLS_PORT: Port(proxy.port),
            Door.REDIRECT: Port(redirect),
        }
        yield Stage(recorder, doors)
