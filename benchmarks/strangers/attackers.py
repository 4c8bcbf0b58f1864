"""`attackers.py MEMBER PORT COUNT SECONDS`: attackers in one process, at the speed of C.

One epoll, prepared bytes, and a buffer that received bytes are dropped into: the proxy must not
wait for them. Prints `ready`, begins at a line on stdin, ends after SECONDS and prints one line of
JSON: bytes sent and received, connections opened.
"""

import errno
import json
import resource
import select
import socket
import ssl
import sys
import time

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

    def connect(self, port: int) -> bool:
        """Begin a connection; return whether there is one to watch."""
        sock = socket.socket()
        try:
            # On loopback this returns when the connection is in the proxy's queue.
            sock.connect(("127.0.0.1", port))
        except OSError:
            sock.close()
            self._tally.refused += 1
            self.again_at = time.monotonic() + _PAUSE
            return False
        self._tally.connected += 1
        sock.setblocking(False)
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
        return True

    @property
    def interest(self) -> int:
        """What epoll should report."""
        if not self._shaken or self._opening:
            return _READ_WRITE
        writes = self._attack.manner is Manner.SEND and self._told
        return _READ_WRITE if writes else select.EPOLLIN

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
        except OSError as error:
            if error.errno == errno.EMFILE:
                raise
            return False

    def _receive(self, sock: socket.socket) -> bool:
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
            return True
        if self._attack.manner is Manner.COME_AND_GO:
            return False
        if self._attack.manner is Manner.SEND and self._told:
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

    def _connect(self, now: float) -> None:
        waiting, self._waiting = self._waiting, []
        for attacker in waiting:
            if attacker.again_at > now or not attacker.connect(self._port):
                self._waiting.append(attacker)
                continue
            assert attacker.sock is not None
            self._epoll.register(attacker.sock, _READ_WRITE)
            self._open[attacker.sock.fileno()] = (attacker, _READ_WRITE)

    def _step(self, descriptor: int, events: int) -> None:
        attacker, interest = self._open[descriptor]
        if not attacker.step(events):
            assert attacker.sock is not None
            del self._open[descriptor]
            attacker.sock.close()  # epoll forgets it
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
    key, port, count, seconds = sys.argv[1:]
    member = BY_KEY[key]
    attack, tally = member.make(), Tally()
    tls = blind_tls() if member.tls and not member.raw and member.port.value == "public" else None
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    crowd = Crowd([Attacker(attack, tls, tally) for _ in range(int(count))], int(port))
    print("ready", flush=True)
    sys.stdin.readline()
    crowd.run(float(seconds))
    print(json.dumps(vars(tally)), flush=True)


if __name__ == "__main__":
    main()
