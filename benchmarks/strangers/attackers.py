"""`attackers.py MEMBER COUNT SECONDS`: attackers in one process, at the speed of C.

One epoll, prepared bytes, and a buffer that received bytes are dropped into: the proxy must not
wait for them. Prints `ready`, begins at a line on stdin, the port, ends after SECONDS and prints
one line of JSON: bytes sent and received, connections opened and refused.
"""

import json
import resource
import select
import socket
import ssl
import sys
import time
from contextlib import suppress

from benchmarks.strangers.members import BY_KEY, Attack, Manner

# In one turn of an attacker; more would only delay the other attackers.
_TURNS = 4
_RECEIVE = 1 << 18
_AGAIN = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_NO_LINGER = b"\x01\x00\x00\x00\x00\x00\x00\x00"
_READ_WRITE = select.EPOLLIN | select.EPOLLOUT
_PAUSE = 0.05


class Tally:
    """What all attackers together have done."""

    def __init__(self) -> None:
        self.sent = 0
        self.received = 0
        self.connected = 0
        self.refused = 0


class Attacker:
    """One connection after another, as long as the run takes."""

    scratch = bytearray(_RECEIVE)

    def __init__(self, attack: Attack, tls: ssl.SSLContext | None, tally: Tally) -> None:
        self._attack = attack
        self._tls = tls
        self._tally = tally
        self._burst = memoryview(attack.burst)
        self.again_at = 0.0
        self.sock: socket.socket | None = None

    def connect(self, port: int) -> socket.socket:
        """Begin a connection."""
        sock = socket.socket()
        sock.setblocking(False)
        with suppress(BlockingIOError):
            sock.connect(("127.0.0.1", port))
        self._tally.connected += 1
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._attack.manner in (Manner.COME_AND_GO, Manner.KNOCK):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        if self._tls is not None:
            sock = self._tls.wrap_socket(sock, do_handshake_on_connect=False)
        self.sock = sock
        self._shaken = self._tls is None
        self._opening = memoryview(self._attack.opening)
        self._told = not self._attack.sign
        self._offset = 0
        return sock

    def close(self) -> None:
        """Close the connection."""
        if self.sock is not None:
            self.sock.close()

    @property
    def interest(self) -> int:
        """What epoll should report."""
        if not self._shaken:
            return _READ_WRITE
        writes = bool(self._opening) or (self._attack.manner is Manner.SEND and self._told)
        reads = self._attack.reads or not self._told
        return (select.EPOLLIN if reads else 0) | (select.EPOLLOUT if writes else 0)

    def step(self, events: int) -> bool:
        """Move bytes; return False when the connection is over."""
        assert self.sock is not None
        try:
            if not self._shaken:
                self.sock.do_handshake()  # type: ignore[attr-defined]
                self._shaken = True
            if events & ~select.EPOLLOUT and not self._receive(self.sock):
                return False
            return self._send(self.sock)
        except _AGAIN:
            return True
        except ConnectionRefusedError:
            self._tally.refused += 1
            self.again_at = time.monotonic() + _PAUSE
            return False
        except OSError:
            return False

    def _receive(self, sock: socket.socket) -> bool:
        if self._told and not self._attack.reads:
            # Reported unasked: the connection is broken, or the proxy has closed its side.
            return False
        for _ in range(_TURNS):
            try:
                size = sock.recv_into(self.scratch)
            except _AGAIN:
                return True
            if not size or self._attack.manner is Manner.KNOCK:
                return False
            self._tally.received += size
            if not self._told and self._attack.sign in self.scratch[:size]:
                self._told = True
        return True

    def _send(self, sock: socket.socket) -> bool:
        if self._opening:
            self._opening = self._opening[sock.send(self._opening) :]
        if self._attack.manner is Manner.COME_AND_GO:
            return bool(self._opening)
        if not self._opening and self._attack.manner is Manner.SEND and self._told:
            for _ in range(_TURNS):
                end = self._offset + (self._attack.segment or len(self._burst))
                size = sock.send(self._burst[self._offset : end])
                self._tally.sent += size
                self._offset = (self._offset + size) % len(self._burst)
        return True


class Crowd:
    """All attackers of a run."""

    def __init__(self, attackers: list[Attacker], port: int) -> None:
        self._port = port
        self._epoll = select.epoll()
        self._waiting = attackers
        self._open: dict[int, tuple[Attacker, int]] = {}

    def run(self, seconds: float) -> None:
        """Attack for that long."""
        end = time.monotonic() + seconds
        while (now := time.monotonic()) < end:
            self._connect(now)
            for descriptor, events in self._epoll.poll(_PAUSE):
                self._step(descriptor, events)
        for attacker, _ in self._open.values():
            attacker.close()
        self._epoll.close()

    def _connect(self, now: float) -> None:
        waiting, self._waiting = self._waiting, []
        for attacker in waiting:
            if attacker.again_at > now:
                self._waiting.append(attacker)
                continue
            sock = attacker.connect(self._port)
            self._epoll.register(sock, _READ_WRITE)
            self._open[sock.fileno()] = (attacker, _READ_WRITE)

    def _step(self, descriptor: int, events: int) -> None:
        attacker, interest = self._open[descriptor]
        if not attacker.step(events):
            del self._open[descriptor]
            attacker.close()  # epoll forgets it
            self._waiting.append(attacker)
        elif (wanted := attacker.interest) != interest:
            self._epoll.modify(descriptor, wanted)
            self._open[descriptor] = (attacker, wanted)


def blind_tls() -> ssl.SSLContext:
    """Return a client's context that believes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def main() -> None:
    """Attack as the command line says."""
    key, count, seconds = sys.argv[1:]
    member = BY_KEY[key]
    attack, tally = member.make(), Tally()
    tls = blind_tls() if member.tls and not member.raw and member.port.value == "public" else None
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    attackers = [Attacker(attack, tls, tally) for _ in range(int(count))]
    print("ready", flush=True)
    Crowd(attackers, int(sys.stdin.readline())).run(float(seconds))
    print(json.dumps(vars(tally)), flush=True)


if __name__ == "__main__":
    main()
