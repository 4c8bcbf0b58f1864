"""ETags: which table a client has seen, and changes meant for no other (RFC 9110, 13.1.1)."""

from aiohttp import web
from aiohttp.helpers import ETAG_ANY

from hubgate.control.routes.change_log import SeenTable
from hubgate.control.web.auth import caller_of
from hubgate.errors import RouteError


def etag(revision: object) -> str:
    """Return the ETag of the table as of a revision, as a header has it."""
    return f'"{revision}"'


def expected_tables(request: web.Request) -> SeenTable | None:
    """Return the revisions that `If-Match` names; None if any will do.

    A weak one is never the table's, as the RFC has it. Raises RouteError if it cannot be read.
    """
    given = request.headers.getall("If-Match", ())
    if not given:
        return None
    tags = [*(request.if_match or ())]
    if not tags:
        raise RouteError("If-Match: write the ETag as GET /api/routes has it, in quotes, or *")
    if any(tag.value == ETAG_ANY and not tag.is_weak for tag in tags):
        return None
    seen = frozenset(tag.value for tag in tags if not tag.is_weak)
    return SeenTable(seen, caller_of(request).scope)
