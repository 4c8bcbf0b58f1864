"""What docs/high-availability.md says to write, with addresses, ports and folders of a test."""

import random
import re
from dataclasses import dataclass, field
from pathlib import Path

from tests.contract.ports import distinct_ports

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "high-availability.md"

PORTS = ("443", "6379", "8000", "8001", "8003", "8081", "26379")
FOLDERS = ("/etc/hubgate", "/etc/haproxy", "/etc/redis", "/etc/jupyterhub", "/var/lib/redis")
PASSWORDS = ("HUBGATE", "REPLICA", "MONITOR", "SENTINEL")

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NETWORK = "10.0.0."


def block(heading: str, language: str, number: int = 0) -> str:
    """Return a block of code of a section of the page."""
    found = re.search(rf"^##+ {re.escape(heading)}\n(.*?)(?=^##|\Z)", PAGE.read_text(), re.M | re.S)
    assert found, heading
    return [text for kind, text in _BLOCK.findall(found[1]) if kind == language][number]


def acl_line() -> str:
    """Return the line of the page's ACL that is hubgate's."""
    (line,) = re.findall(r"^user hubgate .+$", block("Redis and Sentinel", "acl"), re.M)
    return str(line)


def _network() -> str:
    # Addresses of the loopback interface, so that one machine has as many as the page's have.
    return f"127.{random.randrange(1, 250)}.{random.randrange(1, 250)}."


@dataclass
class Place:
    """The machines of the page in one folder; `network` is what their addresses begin with."""

    folder: Path
    network: str = field(default_factory=_network)
    ports: dict[str, int] = field(
        default_factory=lambda: dict(zip(PORTS, distinct_ports(len(PORTS)), strict=True))
    )

    def own(self, text: str, folder: Path | None = None) -> str:
        """Return text of the page as it is here; files of a machine of its own are in `folder`."""
        text = text.replace("https://hub.example.org", f"https://{_NETWORK}10:443")
        text = text.replace("proxies.example.org", f"{_NETWORK}10")
        for each in FOLDERS:
            text = text.replace(each, str(folder or self.folder))
        text = re.sub(
            rf"(?<=[: ])({'|'.join(PORTS)})\b", lambda found: str(self.ports[found[0]]), text
        )
        return text.replace(_NETWORK, self.network)

    def host(self, number: int) -> str:
        """Return the address of the machine whose address on the page ends in that."""
        return f"{self.network}{number}"

    def at(self, number: int, port: str) -> tuple[str, int]:
        """Return where a machine's port of the page is."""
        return self.host(number), self.ports[port]
