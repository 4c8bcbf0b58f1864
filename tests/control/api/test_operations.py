from aiohttp import web

from hubgate.control.api.operations import reload_page
from hubgate.control.reload import Outcome
from hubgate.control.web.guard import Guard
from hubgate.control.web.pages import Pages
from tests.control.serving import ask, serve


async def page(outcome: Outcome) -> web.Application:
    async def reload() -> Outcome:
        return outcome

    app = web.Application()
    Pages(app, Guard("s3cret")).add("/api/reload", reload_page(reload))
    return app


TOKEN = {"Authorization": "token s3cret"}


async def test_what_changed_and_what_needs_a_restart() -> None:
    async with serve(await page(Outcome(("routes", "timeouts.drain"), ("workers",)))) as port:
        answer = await ask(port, "POST", "/api/reload", fields=TOKEN)
    assert answer.status == 200
    assert answer.json == {"changed": ["routes", "timeouts.drain"], "needs_restart": ["workers"]}


async def test_mistakes_are_a_line_each() -> None:
    async with serve(await page(Outcome(mistakes=("one", "two")))) as port:
        answer = await ask(port, "POST", "/api/reload", fields=TOKEN)
    assert (answer.status, answer.body) == (422, b"one\ntwo")


async def test_nothing_without_the_token_and_by_another_method() -> None:
    async with serve(await page(Outcome())) as port:
        refused = [await ask(port, method, "/api/reload") for method in ("GET", "POST")]
        other = await ask(port, "GET", "/api/reload", fields=TOKEN)
    assert [each.status for each in refused] == [403, 403]
    assert (other.status, other.headers["allow"]) == (405, "POST")
