"""A request of aiohttp's whose response does not name the software that gives it."""

from aiohttp import web


class UnsignedRequest(web.BaseRequest):
    """Takes the Server header, in which aiohttp names itself and its version, off the response.

    To use with another request class, name this one first among the bases.
    """

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        await super()._prepare_hook(response)
        response.headers.popall("Server", None)
