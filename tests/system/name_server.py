"""A name server whose answers a test scripts, lies and silence included (RFC 1035)."""

import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType

ADDRESS = ("127.0.0.66", 53)
A, AAAA = 1, 28
_NXDOMAIN = 3
_TRUNCATED = 0x0200
_RESPONSE = 0x8180  # recursion desired and available


@dataclass
class Said:
    """What is said about a name.

    `codes` are the failures by type of question; with `truncated`, only TCP gets an answer; with
    `drops`, so many questions of each type get none; with `any_type`, IPv4 addresses are the answer
    to every question. `delay` is in seconds; `silent` is for ever.
    """

    addresses: tuple[str, ...] = ()
    codes: dict[int, int] = field(default_factory=dict)
    delay: float = 0.0
    silent: bool = False
    truncated: bool = False
    any_type: bool = False
    drops: dict[int, int] = field(default_factory=dict)


SILENT = Said(silent=True)


class NameServer:
    """Answers on UDP and TCP until its block ends; a name that is not in `names` does not exist."""

    def __init__(self) -> None:
        self.names: dict[str, Said] = {}
        self.asked: list[str] = []
        self._udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._tcp = socket.socket()
        self._udp.bind(ADDRESS)
        self._tcp.bind(ADDRESS)
        self._tcp.listen()

    def __enter__(self) -> "NameServer":
        for serve in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=serve, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, where: TracebackType | None
    ) -> None:
        for sock in (self._udp, self._tcp):
            with suppress(OSError):  # a datagram socket is not connected, but wakes up
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    def _serve_udp(self) -> None:
        with suppress(OSError):
            while True:
                question, sender = self._udp.recvfrom(4096)
                if not question:  # shut down
                    return
                answer, delay = self._answer(question, tcp=False)
                if answer is not None:
                    self._send_later(answer, sender, delay)

    def _send_later(self, answer: bytes, sender: tuple[str, int], delay: float) -> None:
        def send() -> None:
            with suppress(OSError):
                self._udp.sendto(answer, sender)

        timer = threading.Timer(delay, send)
        timer.daemon = True
        timer.start()

    def _serve_tcp(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._tcp.accept()
                with connection, suppress(OSError):
                    while size := connection.recv(2, socket.MSG_WAITALL):
                        (length,) = struct.unpack("!H", size)
                        question = connection.recv(length, socket.MSG_WAITALL)
                        answer, _ = self._answer(question, tcp=True)
                        if answer is not None:
                            connection.sendall(struct.pack("!H", len(answer)) + answer)

    def _answer(self, question: bytes, *, tcp: bool) -> tuple[bytes | None, float]:
        name, kind, end = _read(question)
        self.asked.append(name)
        said = self.names.get(name, Said(codes={A: _NXDOMAIN, AAAA: _NXDOMAIN}))
        if said.silent:
            return None, 0
        if said.drops.get(kind, 0) > 0:
            said.drops[kind] -= 1
            return None, 0
        flags = _RESPONSE | said.codes.get(kind, 0)
        records = [] if flags != _RESPONSE else [*_records(said, kind)]
        if said.truncated and not tcp:
            flags, records = flags | _TRUNCATED, []
        head = struct.pack("!HHHHH", flags, 1, len(records), 0, 0)
        return question[:2] + head + question[12:end] + b"".join(records), said.delay


def _read(question: bytes) -> tuple[str, int, int]:
    """Return the name that is asked for, the type of the question and where it ends."""
    labels, at = [], 12
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode())
        at += 1 + length
    return ".".join(labels).lower(), struct.unpack("!H", question[at + 1 : at + 3])[0], at + 5


def _records(said: Said, kind: int) -> list[bytes]:
    records = []
    for address in said.addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        its_kind = AAAA if family == socket.AF_INET6 else A
        if its_kind == kind or (said.any_type and its_kind == A):
            data = socket.inet_pton(family, address)
            # The name is that of the question, at byte 12.
            records.append(b"\xc0\x0c" + struct.pack("!HHIH", its_kind, 1, 30, len(data)) + data)
    return records
