"""A client for a running hubgate's REST API: one request per connection."""

import encodings.idna  # noqa: F401 - for names of hosts: if it cannot be loaded, now is the time
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.parse import quote, unquote, urlencode, urlsplit

import click

from hubgate.errors import ConfigError
from hubgate.logs import one_line
from hubgate.settings.catalogue import variables_of
from hubgate.settings.urls import check_target

# Seconds without a byte, in which a POST waits for every worker; and for a whole exchange beyond.
TIMEOUT = 30.0
OVERALL = 90.0
LARGEST = 256 * 1024 * 1024  # bytes; a million routes are less


MISSING = "Hubgate-Missing-Replicas"

_VARIABLES = variables_of("api_token")


class NoSuchRouteError(click.ClickException):
    """There is no such route."""


class AbsentError(click.ClickException):
    """Nothing listens there, or it cannot be reached."""


@dataclass(frozen=True)
class Api:
    """Where the API is, and what to authenticate with.

    Without a `token`, `find_token` is asked for one before each request: an upgrade may make it.
    `token_source` says in which variable or file the token was, for messages. `missing` are the
    replicas that the latest response said do not serve its change yet.
    """

    url: str
    token: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = None
    find_token: Callable[[], str | None] = field(default=lambda: None, repr=False)
    token_source: str = ""
    missing: list[str] = field(default_factory=list)

    def get(self, key: str | None = None) -> dict[str, Any]:
        """Return one route's data, or the whole table. Raises click.ClickException."""
        found = self._get(key)
        if key is None or key.partition("/")[2]:
            return found
        # GET / returns the whole table (of one host, if one is named), the route included.
        route = found.get(key)
        if not isinstance(route, dict):
            raise self._refusal(404, key, b"")
        return route

    def find(self, key: str) -> dict[str, Any] | None:
        """Return one route's data, None if there is none. Raises click.ClickException."""
        try:
            return self.get(key)
        except NoSuchRouteError:
            return None

    def _get(self, key: str | None) -> dict[str, Any]:
        body = self._call("GET", key, None)
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise self.stranger("its response is not a JSON object")
        return found

    def put(self, key: str, data: dict[str, Any]) -> None:
        """Add or replace a route; every worker serves it when this returns."""
        self._call("POST", key, json.dumps(data).encode())

    def delete(self, key: str) -> None:
        """Remove a route."""
        self._call("DELETE", key, None)

    def operate(self, method: str, path: str, timeout: float = TIMEOUT) -> tuple[int, bytes]:
        """Send a request that is not about a route; return its status and body.

        Raises click.ClickException for 403, or without a response within `timeout` seconds.
        """
        status, reply = self._exchange(method, path, None, self._headers(), timeout)
        if status == 403:
            raise self._refusal(status, None, reply)
        return status, reply

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        body: Iterable[bytes] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> Iterator[HTTPResponse]:
        """Send a request about many routes; yield the response, which is read as it comes.

        Raises click.ClickException for what is not there, or no such API, while the block reads
        the response as well; and for 403.
        """
        connection = self._connection(TIMEOUT)
        try:
            headers = {**self._headers(), **(fields or {})}
            place = urlsplit(self.url).path.rstrip("/") + path
            with suppress(BrokenPipeError, ConnectionResetError):  # it may have answered by then
                connection.request(method, place, body, headers)
            response = connection.getresponse()
            self._note_missing(response)
            if response.status == 403:
                raise self._refusal(403, None, response.read(LARGEST))
            yield response
        except (OSError, HTTPException) as error:
            raise self._failed(error) from None
        finally:
            connection.close()

    def _call(self, method: str, key: str | None, body: bytes | None) -> bytes:
        headers = self._headers()
        if body is not None:
            headers["Content-Type"] = "application/json"
        status, reply = self._exchange(method, _path(key), body, headers)
        if status not in (200, 201, 204):
            raise self._refusal(status, key, reply)
        return reply

    def _headers(self) -> dict[str, str]:
        headers = {"Accept": "application/json"}
        if token := self.token or self.find_token():
            headers["Authorization"] = f"token {token}"
        return headers

    def _exchange(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
        timeout: float = TIMEOUT,
    ) -> tuple[int, bytes]:
        connection = self._connection(timeout)
        # Each receive has its own limit: somebody who sends a byte now and then must not last.
        over = threading.Event()
        cut = threading.Timer(timeout + OVERALL, _cut, (connection, over))
        cut.daemon = True
        cut.start()
        try:
            connection.request(method, urlsplit(self.url).path.rstrip("/") + path, body, headers)
            response = connection.getresponse()
            reply = response.read(LARGEST + 1)
            self._note_missing(response)
            if len(reply) > LARGEST:
                raise self.stranger(f"its response is larger than {LARGEST >> 20} MiB")
            return response.status, reply
        except (OSError, HTTPException) as error:
            raise self._failed(TimeoutError() if over.is_set() else error) from None
        finally:
            cut.cancel()
            connection.close()

    def _note_missing(self, response: HTTPResponse) -> None:
        self.missing[:] = response.headers.get_all(MISSING, [])

    def _connection(self, timeout: float) -> HTTPConnection:
        parts = urlsplit(self.url)
        if "unix" in parts.scheme:
            return _UnixConnection(unquote(parts.netloc), timeout)
        host = parts.hostname or ""
        if parts.scheme == "https":
            return HTTPSConnection(host, parts.port, timeout=timeout, context=self.tls)
        return HTTPConnection(host, parts.port, timeout=timeout)

    def _failed(self, error: Exception) -> click.ClickException:
        if isinstance(error, ssl.SSLCertVerificationError):
            return click.ClickException(
                f"{self.url}: its certificate is not trusted ({error.verify_message});"
                " give its CA with --ca"
            )
        if isinstance(error, TimeoutError):
            return click.ClickException(f"{self.url}: no answer within {TIMEOUT:g} s; try again")
        if isinstance(error, ssl.SSLError) and "CERTIFICATE_REQUIRED" in (error.reason or ""):
            return click.ClickException(
                f"{self.url}: requires a client certificate; give --cert and --key"
            )
        if isinstance(error, ConnectionResetError) and not self.url.startswith("https:"):
            return click.ClickException(
                f"{self.url}: it ends the connection without a response; is it starting or ending"
                " (see its log), or is it https for http (check --api-url)?"
            )
        if isinstance(error, (HTTPException, ssl.SSLError, ConnectionResetError)):
            if self.url.startswith("https:"):
                return self.stranger("it ends the connection; does it need --cert and --key?")
            return self.stranger("it does not respond like one; https for http?")
        reason = getattr(error, "strerror", None) or str(error)
        return AbsentError(
            f"{self.url}: no API there ({reason}); start `proxyctl serve`, or give --api-url"
        )

    def tell_missing(self) -> None:
        """Say on stderr which replicas do not serve the latest change yet, if any."""
        if self.missing:
            names = ", ".join(self.missing)
            click.echo(one_line(f"not served yet by {names}; see `proxyctl replicas`"), err=True)

    def stranger(self, what: str) -> click.ClickException:
        """Return the error for what does not answer as a route API would."""
        return click.ClickException(f"{self.url}: is not a route API: {what} (check --api-url)")

    def _refusal(self, status: int, key: str | None, answer: bytes) -> click.ClickException:
        said = " ".join(answer.decode("utf-8", "replace").split())[:300]
        if status == 403 and said:
            return click.ClickException(f"{self.url}: {said}")
        if status == 403:
            way = "a token"
            if self.token or self.find_token():
                way = "another token"
                if self.token_source:
                    way += f" than that in {self.token_source}"
            given = (
                "correct or unset it" if self.token_source in _VARIABLES else "set HUBGATE_TOKEN"
            )
            return click.ClickException(
                f"{self.url}: needs {way}; {given}, give --token-file, or be the user"
                " who runs hubgate"
            )
        if status == 404 and key is not None:
            return NoSuchRouteError(f"{key}: no such route; see `proxyctl list`")
        if status in (400, 409, 413):
            return click.ClickException(f"{key or self.url}: {said or f'refused with {status}'}")
        if status >= 500:
            return click.ClickException(f"{self.url}: failed: {said or status}; see its log")
        return self.stranger(f"it returned {status}")


def _cut(connection: HTTPConnection, over: threading.Event) -> None:
    over.set()
    with suppress(OSError, AttributeError):  # it was never connected, or is closed already
        connection.sock.shutdown(socket.SHUT_RDWR)


class _UnixConnection(HTTPConnection):
    """HTTP over the unix socket at `path`."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def check_api_url(url: str) -> str:
    """Return `url` if it can be the API's. Raises ConfigError."""
    try:
        return check_target(url).rstrip("/")
    except ConfigError as error:
        raise ConfigError(f"--api-url: {error}") from None


def _path(key: str | None) -> str:
    if key is None:
        return "/api/routes"
    host, _, path = key.partition("/")
    query = f"?{urlencode({'host': host})}" if host else ""
    return f"/api/routes/{quote(path)}{query}"
