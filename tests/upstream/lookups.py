"""A scripted stand-in for the system's lookups, which block a thread for as long as a test says."""

import socket
import threading
from collections import Counter

from hubgate.upstream.resolver import Addresses, HostAddress
from tests.dataplane.wire import PATIENCE


def v4(*ips: str) -> Addresses:
    return tuple(HostAddress(socket.AF_INET, ip) for ip in ips)


class Lookups:
    """Answers by name; a name in `silent` blocks until it is taken out and `wake` is called.

    `asked` counts lookups that have begun; `most` is how many went on at once.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Addresses | Exception] = {}
        self.silent: set[str] = set()
        self.asked: Counter[str] = Counter()
        self.most = self._running = 0
        self._changed = threading.Condition()

    def __call__(self, host: str) -> Addresses:
        with self._changed:
            self.asked[host] += 1
            self._running += 1
            self.most = max(self.most, self._running)
            self._changed.wait_for(lambda: host not in self.silent, PATIENCE)
            self._running -= 1
        answer = self.answers.get(host, v4("127.0.0.1"))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def wake(self, *hosts: str) -> None:
        """Let lookups of these names end, or of all."""
        with self._changed:
            self.silent -= {*hosts} if hosts else {*self.silent}
            self._changed.notify_all()
