"""The plain-HTTP port that sends everybody to HTTPS."""

from collections.abc import Awaitable, Callable

from aiohttp import web

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def redirect_handler(to_port: Callable[[], int | None]) -> Handler:
    """Return a handler that answers 301 to `https://HOST[:port]URL`, without the port 443."""

    async def redirect(request: web.BaseRequest) -> web.StreamResponse:
        host = request.headers.get("Host", "")
        if not host:
            return web.Response(
                status=400, text="This port only redirects to HTTPS: the request names no Host.\n"
            )
        port = to_port()
        suffix = "" if port in (None, 443) else f":{port}"
        name = host.partition("]")[0] + "]" if host.startswith("[") else host.partition(":")[0]
        return web.Response(
            status=301, headers={"Location": f"https://{name}{suffix}{request.raw_path}"}
        )

    return redirect
