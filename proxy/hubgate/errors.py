"""Every error hubgate raises: its HTTP status, and whether the client's connection survives it."""

from typing import ClassVar


class HubgateError(Exception):
    """Root of the tree; `str(error)` is one line fit for a person to read.

    `keeps_client` says whether the client's connection can serve its next request.
    """

    status: ClassVar[int] = 500
    keeps_client: ClassVar[bool] = True


class ConfigError(HubgateError):
    """A person's mistake in a flag, a file or the environment.

    Each of `lines` is one mistake: where it is, what is wrong, what would be right. The text
    is the first of them, and how many more there are.
    """

    def __init__(self, line: str, *more: str) -> None:
        rest = f" (and {len(more)} more)" if more else ""
        super().__init__(line + rest)
        self.lines = (line, *more)


class StoreError(HubgateError):
    """The route store did not answer, or holds something unreadable."""


class StoreUnavailableError(StoreError):
    """The store is sound but cannot take a change now: a full disk, one that is read-only."""

    status = 503


class StoreInUseError(StoreUnavailableError):
    """Another process has the store."""


class WorkerError(HubgateError):
    """A worker process cannot be started."""


class UpgradeError(HubgateError):
    """The newly installed release cannot take over; everything goes on as it was."""


class UpgradeUnderWayError(UpgradeError):
    """One upgrade at a time."""

    status = 409


# --- control plane -------------------------------------------------------------------------


class RouteError(HubgateError):
    """A route that cannot be: a bad path, a bad target."""

    status = 400


class RouteNotFoundError(RouteError):
    """There is no route under that path."""

    status = 404


class FileRouteError(RouteError):
    """The route stands in routes.yaml and cannot be changed through the API."""

    status = 409


# --- downstream: what a client sent, or did not ----------------------------------------------


class BadRequestError(HubgateError):
    """The request's framing or headers are malformed or ambiguous."""

    status = 400
    keeps_client = False


class RequestTimeoutError(BadRequestError):
    """The request's head did not arrive in time."""

    status = 408


class MethodNotAllowedError(BadRequestError):
    """The request's method has no meaning here."""

    status = 405


class VersionNotSupportedError(BadRequestError):
    """The request is in another version of HTTP than 1.0 or 1.1."""

    status = 505


class UriTooLongError(BadRequestError):
    """The request line is over the limit."""

    status = 414


class HeadTooLargeError(BadRequestError):
    """The request's headers are over the limit."""

    status = 431


class BadTargetError(HubgateError):
    """The matching route's target is not a URL that can be forwarded to."""


class BodyTooLargeError(BadRequestError):
    """The request's body is over the limit."""

    status = 413


class BusyError(HubgateError):
    """A limit on connections, requests or tunnels is reached; later is better."""

    status = 503


class NoRouteError(HubgateError):
    """No route matches the request's host and path."""

    status = 404


# --- upstream: the target ---------------------------------------------------------------------


class UpstreamError(HubgateError):
    """The target refused, reset, timed out or answered what is not HTTP."""

    status = 503


class ConnectError(UpstreamError):
    """No connection to the target: nothing was sent, so a retry is safe."""


class RefusedError(ConnectError):
    """Nothing listens at the target's address: perhaps not yet, perhaps no more."""


class StaleConnectionError(UpstreamError):
    """A kept-alive connection died before any byte of the response."""


class UpstreamClosedError(UpstreamError):
    """The target closed the connection before its response was complete."""


class UpstreamTimeoutError(UpstreamError):
    """The target sent nothing for longer than allowed."""


class BadResponseError(UpstreamError):
    """The target's answer is not well-formed HTTP/1.x."""
