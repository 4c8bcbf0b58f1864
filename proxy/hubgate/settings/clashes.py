"""Two of our own listeners on the same address, found here, not later as "address in use"."""

from collections.abc import Sequence

from hubgate.model import Address
from hubgate.settings.catalogue import LISTENERS
from hubgate.settings.values import Settings


def clashes(settings: Settings, names: Sequence[str] = tuple(LISTENERS)) -> list[str]:
    """Return a line for each pair of listeners that clash; `names` is what messages call them."""
    named = [
        (name, address)
        for name, field in zip(names, LISTENERS, strict=True)
        for address in getattr(settings, field)
    ]
    return [
        f"{name}: {address} is taken by {other}; give one of them another"
        f" {'port' if address.path is None else 'socket'}"
        for index, (name, address) in enumerate(named)
        for other, earlier in named[:index]
        if _clash(address, earlier)
    ]


def _clash(one: Address, other: Address) -> bool:
    if one.path is not None or other.path is not None:
        return one.path == other.path
    if one.port != other.port or one.port == 0:
        return False
    hosts = {_plain(one.host), _plain(other.host)}
    return len(hosts) == 1 or "" in hosts


def _plain(host: str) -> str:
    host = host.lower()
    return {"localhost": "127.0.0.1", "0.0.0.0": "", "::": ""}.get(host, host)
