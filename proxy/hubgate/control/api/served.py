"""What a response says about replicas that do not serve a change yet."""

from aiohttp import web

from hubgate.control.routes.bulk_changes import Missing
from hubgate.control.web.responses import REASON

MISSING = "Hubgate-Missing-Replicas"
"""The header field that names replicas which did not serve a change in time."""


MISSED = web.ResponseKey("missed", tuple)
"""Their names, for the metrics."""


def served(response: web.Response, missing: Missing) -> web.Response:
    """Return `response` with the names of the `missing` ones in it, and in the log."""
    if missing:
        response.headers[MISSING] = ", ".join(missing)
        response[MISSED] = missing
        response[REASON] = f"not served yet by {', '.join(missing)}"
    return response
