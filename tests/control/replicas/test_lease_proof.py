"""The page by which replicas ask each other for their lease."""

import math

import pytest

from hubgate.control.health import Health
from hubgate.control.replicas.lease_proof import LEASE, proof, renewed
from tests.control.replicas.sharing import Member, asked
from tests.control.serving import ask

NONCE = "0123456789abcdef" * 2


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


async def test_it_tells_how_long_ago_a_lease_was_renewed() -> None:
    member, health = Member("a"), Health(serves=True)
    member.renewed_ago = 1.5
    async with asked(member, health) as url:

        async def says() -> float | None:
            answer = await ask(port_of(url), "GET", f"{LEASE}?nonce={NONCE}")
            assert answer.status == 200
            return renewed(answer.body.decode(), "shared", member.instance, NONCE)

        assert await says() == 1.5
        member.renewed_ago = 5.5
        assert await says() == math.inf
        member.renewed_ago = 1.5
        # Nobody should turn to one that ends.
        health.drain()
        assert await says() == math.inf


@pytest.mark.parametrize("query", ["", "?nonce=", "?nonce=xyz", f"?nonce={NONCE}0"])
async def test_a_question_that_is_none_is_not_answered(query: str) -> None:
    async with asked(Member("a")) as url:
        answer = await ask(port_of(url), "GET", LEASE + query)
    assert answer.status == 400


def test_an_answer_is_one_replicas_to_one_question() -> None:
    member = Member("a")
    text = proof(member, NONCE, 0.25)
    assert renewed(text, "shared", member.instance, NONCE) == 0.25
    assert renewed(text, "another table's", member.instance, NONCE) is None
    assert renewed(text, "shared", "instance of b", NONCE) is None
    assert renewed(text, "shared", member.instance, NONCE[::-1]) is None
    assert renewed(text.replace("250 ", "100 "), "shared", member.instance, NONCE) is None
    for garbage in ("", "ok", "<html>", "250", text * 2, "-2" + text[3:]):
        assert renewed(garbage, "shared", member.instance, NONCE) is None
