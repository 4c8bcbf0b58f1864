"""An aiohttp request whose response does not name the server software."""

from aiohttp import web


class RequestWithoutServerHeader(web.BaseRequest):
    """Removes the Server header, in which aiohttp names itself and its version, from the response.

    To use it with another request class, list this one first among the bases.
    """

    async def _prepare_hook(self, response: web.StreamResponse) -> None:
        await super()._prepare_hook(response)
        response.headers.popall("Server", None)
