"""What answers at an address that does not work as written: a Redis, a sentinel, with TLS or not.

It is asked without a password, so that nobody gets one who is not meant.
"""

import asyncio
import re
import ssl
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import Enum

from hubgate.redis_address import (
    EXAMPLE_HOST,
    EXAMPLE_SERVICE,
    SENTINEL_PORT,
    RedisAddress,
    place_text,
)

LIMIT = 1.0
"""Seconds for each place and way to ask."""

_LONGEST = 16384  # bytes of an answer
_MODE = re.compile(rb"redis_mode:(\w+)")
_TLS_ALERT = b"\x15\x03"


class Answerer(Enum):
    """Who answers, as far as it says so without a password."""

    REDIS = "a Redis"
    SENTINEL = "a sentinel"
    EITHER = "one of them"
    STRANGER = "not a Redis"


@dataclass(frozen=True, slots=True)
class Answer:
    """Who answered, and whether with TLS."""

    kind: Answerer
    tls: bool


async def mistake_in(address: RedisAddress) -> str | None:
    """Return what should be written instead of this address, None if it is right or nobody says."""
    if address.socket is not None:
        return (
            None if (answer := await _ask(address.socket, None)) is None else _told(address, answer)
        )
    for host, port in address.hosts:
        answer = await _ask(host, port)
        if answer is not None and (line := _told(address, answer, place_text(host, port))):
            return line
    return None


def _told(address: RedisAddress, answer: Answer, place: str | None = None) -> str | None:
    here = f"at {place}" if place else "there"
    if answer.kind is Answerer.STRANGER:
        return f"what answers {here} is not a Redis; correct the address"
    meant = Answerer.REDIS if address.service is None else Answerer.SENTINEL
    kind = meant if answer.kind is Answerer.EITHER else answer.kind
    if (kind, answer.tls) == (meant, address.tls):
        return None
    write = f"write {_right(address, place, kind, answer.tls)}"
    if answer.tls == address.tls:
        return f"what answers {here} is {kind.value}; {write}"
    if answer.tls:
        return f"what answers {here} is {kind.value} with TLS; {write}"
    return f"what answers {here} is {kind.value} without TLS; give its port with TLS, or {write}"


def _right(address: RedisAddress, place: str | None, kind: Answerer, tls: bool) -> str:
    """Return the address that suits what was found."""
    if kind is Answerer.REDIS:
        hosts = tuple(each for each in address.hosts if place_text(*each) == place)
        return str(replace(address, hosts=hosts, service=None, tls=tls))
    hosts = address.hosts or ((EXAMPLE_HOST, SENTINEL_PORT),)
    service = address.service or EXAMPLE_SERVICE
    hint = "" if address.service else ", with the name of its master"
    return f"{replace(address, hosts=hosts, socket=None, service=service, tls=tls)}{hint}"


async def _ask(place: str, port: int | None) -> Answer | None:
    plain = await _said(place, port, None)
    if plain and not plain.startswith(_TLS_ALERT):
        return Answer(_kind(plain), tls=False)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # nothing secret is sent
    encrypted = None if port is None else await _said(place, port, context)
    return Answer(_kind(encrypted), tls=True) if encrypted else None


def _kind(said: bytes) -> Answerer:
    if not said.startswith((b"+", b"-", b"$")):
        return Answerer.STRANGER
    if (mode := _MODE.search(said)) is None:  # it wants a password first
        return Answerer.EITHER
    return Answerer.SENTINEL if mode[1] == b"sentinel" else Answerer.REDIS


async def _said(place: str, port: int | None, context: ssl.SSLContext | None) -> bytes:
    """Return the beginning of what is answered, empty if nothing is."""
    said = b""
    with suppress(OSError, TimeoutError, EOFError):
        async with asyncio.timeout(LIMIT):
            if port is None:
                reader, writer = await asyncio.open_unix_connection(place)
            else:
                reader, writer = await asyncio.open_connection(place, port, ssl=context)
            try:
                writer.write(b"INFO server\r\n")
                while len(said) < _LONGEST and not _MODE.search(said):
                    piece = await reader.read(_LONGEST)
                    if not piece:
                        break
                    said += piece
                    if not said.startswith(b"$"):
                        break
            finally:
                writer.transport.abort()
    return said
