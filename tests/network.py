"""Several machines as network namespaces: each with a link to the balancer, and one to the stores.

All of it is in namespaces without names, which end with the processes in them: nothing is left
over, however a test ends.
"""

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import Replica
from tests.redis_server import Place
from tests.system.namespaces import Namespaces, namespaces

FRONT, BACK = "front", "back"
ISLAND = "island"
_NETS = {FRONT: "10.91.0", BACK: "10.91.1"}


@dataclass
class Machine:
    """One machine; `number` is the end of its addresses."""

    number: int
    inside: Namespaces
    switch: Namespaces

    @property
    def front(self) -> str:
        """Its address for clients and the balancer."""
        return f"{_NETS[FRONT]}.{self.number}"

    @property
    def back(self) -> str:
        """Its address for stores and whoever uses them."""
        return f"{_NETS[BACK]}.{self.number}"

    @property
    def place(self) -> Place:
        """What starts processes there; see `Namespaces.entered`."""
        return self.inside.entered

    def cut(self, *nets: str) -> None:
        """Cut its links: what is sent arrives nowhere, and nobody is told."""
        _ip(self.switch, *(f"link set {net}{self.number} nomaster" for net in nets))

    def isolate(self) -> None:
        """Move its link to the stores to an island: it reaches only who is there, too."""
        _ip(self.switch, f"link set {BACK}{self.number} master {ISLAND}")

    def join(self, *nets: str) -> None:
        """Mend its links, or move them back."""
        _ip(self.switch, *(f"link set {net}{self.number} master {net}" for net in nets))


class Network:
    """The two networks and the machines on them; the test itself has an address in each."""

    def __init__(self, switch: Namespaces, folder: Path, stack: contextlib.ExitStack) -> None:
        self.switch = switch
        self._folder = folder
        self._stack = stack
        self._number = 1
        self.machines: dict[str, Machine] = {}

    @property
    def front(self) -> str:
        """Our own address for clients and the balancer."""
        return f"{_NETS[FRONT]}.1"

    def listener(self) -> socket.socket:
        """Return a listening socket of ours."""
        with self.switch.entered():
            return socket.create_server((self.front, 0), backlog=1024)

    def place(self, replica: Replica) -> None:
        """Give a hubgate a machine of its own, which is known by its name then."""
        machine = self.machines[replica.name] = self.machine()
        replica.host, replica.place, replica.client = (
            machine.front,
            machine.place,
            self.switch.entered,
        )

    def machine(self, *nets: str) -> Machine:
        """Add one with a link to these networks, or both."""
        self._number += 1
        inside = self._stack.enter_context(namespaces(self._folder))
        number = self._number
        for net in nets or _NETS:
            pair = f"type veth peer name {net} netns {inside.pid}"
            _ip(
                self.switch,
                f"link add name {net}{number} {pair}",
                f"link set {net}{number} master {net} up",
            )
            _ip(inside, f"address add {_NETS[net]}.{number}/24 dev {net}", f"link set {net} up")
        return Machine(number, inside, self.switch)


@contextlib.contextmanager
def network(folder: Path) -> Iterator[Network]:
    """Make two networks; they and their machines are gone after the block."""
    with contextlib.ExitStack() as stack:
        switch = stack.enter_context(namespaces(folder))
        for net, prefix in _NETS.items():
            _ip(
                switch,
                f"link add name {net} type bridge",
                f"address add {prefix}.1/24 dev {net}",
                f"link set {net} up",
            )
        _ip(switch, f"link add name {ISLAND} type bridge", f"link set {ISLAND} up")
        yield Network(switch, folder, stack)


def _ip(where: Namespaces, *commands: str) -> None:
    with where.entered():
        text = "".join(f"{command}\n" for command in commands)
        subprocess.run(["ip", "-batch", "-"], input=text.encode(), check=True)
