"""Tokens with scopes, and several replicas: each hub sees its own routes, whichever it asks."""

from pathlib import Path

import pytest

from tests.cluster import Replica, cluster
from tests.redis_server import RedisServer

pytestmark = [pytest.mark.processes, pytest.mark.timeout(180)]

HUBS = {"hub-a": "hub-a.example.org/", "hub-b": "/hub-b/"}


def token_of(hub: str) -> str:
    return f"{hub}-secret-of-thirty-two-letters-x"


def give_tokens(replica: Replica) -> None:
    """Give it the tokens of both hubs."""
    replica.folder.mkdir()
    for hub in HUBS:
        (replica.folder / f"{hub}.token").write_text(token_of(hub))
        (replica.folder / f"{hub}.token").chmod(0o600)


async def test_what_a_hub_stores_through_one_it_sees_through_the_other(
    tmp_path: Path, redis: RedisServer, target: str
) -> None:
    tokens = [{"name": hub, "file": f"{hub}.token", "scope": scope} for hub, scope in HUBS.items()]
    with cluster(
        tmp_path, redis.url, count=2, place=give_tokens, api={"tokens": tokens}
    ) as replicas:
        await replicas.serve()
        one, two = replicas
        a, b = (token_of(hub) for hub in HUBS)
        for path in ("/", "/user/alice", "hub-a.example.org/user/bob"):
            reply = await one.ask(
                "POST", f"/api/routes/{path}".replace("//", "/"), {"target": target}, a
            )
            assert (reply.status, reply.missing) == (201, ()), reply
        reply = await two.ask("POST", "/api/routes/hub-b/user/carol", {"target": target}, b)
        assert (reply.status, reply.missing) == (201, ()), reply
        # Each sees its own, as it was posted, through both.
        for token in (a, b, None):
            assert await one.table(token) == await two.table(token)
        assert "/user/alice" in await two.table(a)
        assert set(await one.table(b)) == {"/hub-b/user/carol"}
        assert len(await one.table()) == len(await one.table(a)) + 1
        # Both serve them, on their hosts.
        for each in replicas:
            assert await each.get("/user/alice", "hub-a.example.org") == 200
            assert await each.get("/user/bob", "hub-a.example.org") == 200
            assert await each.get("/hub-b/user/carol") == 200
            assert await each.get("/user/alice") == 404
        # And neither touches the other's.
        for each in replicas:
            assert (await each.ask("DELETE", "/api/routes/hub-b/user/carol", None, a)).status == 404
            assert (await each.ask("POST", "/api/routes/x", {"target": target}, b)).status == 403
        assert (await two.ask("DELETE", "/api/routes/user/alice", None, a)).status == 204
        assert "/user/alice" not in await one.table(a)
        assert await one.get("/user/alice", "hub-a.example.org") == 200  # by the hub's own /
