"""Every error hubgate raises: its HTTP status, and whether the client's connection survives it."""

from typing import ClassVar


class HubgateError(Exception):
    """Root of the tree; `str(error)` is one human-readable line.

    `keeps_client` says whether the client's connection can serve its next request.
    """

    status: ClassVar[int] = 500
    keeps_client: ClassVar[bool] = True


class ConfigError(HubgateError):
    """A person's mistake in a flag, a file or the environment.

    Each of `lines` is one mistake: where it is, what is wrong, what would be right. The text is
    the first of them, with the number of others.
    """

    def __init__(self, line: str, *more: str) -> None:
        rest = f" (and {len(more)} more)" if more else ""
        super().__init__(line + rest)
        self.lines = (line, *more)


class StoreError(HubgateError):
    """The route store did not respond, or contains something unreadable.

    For `seconds`, what was sent to it may still arrive there.
    """

    seconds = 0.0


class StoreUnavailableError(StoreError):
    """The store is intact but cannot take a change now: the disk is full, or read-only."""

    status = 503


class StoreUnreachedError(StoreUnavailableError):
    """There was no connection to the store, so that nothing was sent."""


class StoreRefusedError(StoreUnavailableError):
    """The store refuses us, or we it: a password, a right or a certificate is wrong."""


class StoreInUseError(StoreUnavailableError):
    """Another process is using the store."""


class WorkerError(HubgateError):
    """A worker process cannot be started."""


class UpgradeError(HubgateError):
    """The newly installed release cannot take over; nothing has changed."""


class UpgradeUnderWayError(UpgradeError):
    """Another upgrade is in progress."""

    status = 409


# --- control plane -------------------------------------------------------------------------


class RouteError(HubgateError):
    """An invalid route: a bad path or target."""

    status = 400


class RouteNotFoundError(RouteError):
    """There is no route for that path."""

    status = 404


class OutOfScopeError(RouteError):
    """The route, or what is asked for, is not in the scope of the token that was sent."""

    status = 403


class TableChangedError(RouteError):
    """The table is not, or no longer, the one that a change was meant for."""

    status = 412


class TableAheadError(TableChangedError):
    """A shared table has changes that we have not seen yet."""


class TableTooLargeError(RouteError):
    """A table, or a change of it, has more bytes than are read."""

    status = 413


class FileRouteError(RouteError):
    """The route is set in routes.yaml, otherwise: it cannot be changed through the API."""

    status = 409


# --- downstream: what a client sent, or did not send ------------------------------------------


class BadRequestError(HubgateError):
    """The request's framing or headers are malformed or ambiguous."""

    status = 400
    keeps_client = False


class RequestTimeoutError(BadRequestError):
    """The request's head did not arrive in time."""

    status = 408


class MethodNotAllowedError(BadRequestError):
    """The request's method is not supported here."""

    status = 405


class VersionNotSupportedError(BadRequestError):
    """The request's HTTP version is neither 1.0 nor 1.1."""

    status = 505


class UriTooLongError(BadRequestError):
    """The request line is over the limit."""

    status = 414


class HeadTooLargeError(BadRequestError):
    """The request's headers are over the limit."""

    status = 431


class BadTargetError(HubgateError):
    """The matching route's target is not a URL we can forward to."""

    status = 503


class BodyTooLargeError(BadRequestError):
    """The request's body is over the limit."""

    status = 413


class BusyError(HubgateError):
    """A limit on connections, requests or tunnels is reached; a later attempt may succeed."""

    status = 503


class StoppedError(HubgateError):
    """The request did not end in the time a stop leaves it: neither side is to blame."""

    status = 503
    keeps_client = False


class NoRouteError(HubgateError):
    """No route matches the request's host and path."""

    status = 404


# --- upstream: the target ---------------------------------------------------------------------


class UpstreamError(HubgateError):
    """The target refused, reset, timed out, or sent something that is not HTTP."""

    status = 503


class ConnectError(UpstreamError):
    """No connection to the target could be made: nothing was sent, so a retry is safe."""


class NameLookupError(ConnectError):
    """The target's name could not be looked up, or not in time."""


class RefusedError(ConnectError):
    """Nothing listens at the target's address: perhaps not yet, perhaps no longer."""


class StaleConnectionError(UpstreamError):
    """A kept-alive connection died before any byte of the response."""


class UpstreamClosedError(UpstreamError):
    """The target closed the connection before its response was complete."""


class UpstreamTimeoutError(UpstreamError):
    """The target sent nothing for longer than allowed."""


class BadResponseError(UpstreamError):
    """The target's response is not well-formed HTTP/1.x."""
