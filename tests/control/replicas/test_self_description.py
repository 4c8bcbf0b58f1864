"""What a replica tells of itself: where it is, what must be the same, and nothing secret."""

import json
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hubgate.control.replicas.self_description import SelfDescription, differences
from hubgate.model import Address, ForwardRules, Route, RouteOptions, ServerTLS, WorkerConfig
from hubgate.routing.scope import Scope
from hubgate.settings import Settings
from hubgate.settings.values import ApiToken


def listening(**addresses: Address) -> Any:
    found = {"public": (), "api": (), "health": ()}
    return SimpleNamespace(
        **found | {name: (SimpleNamespace(address=at),) for name, at in addresses.items()}
    )


def described(settings: Settings, secret: str = "of the table") -> dict[str, Any]:
    return dict(SelfDescription(settings, listening())(secret, "10.0.0.1"))


PLAIN = Settings(
    api_token="s3cret-token",
    api_tokens=(ApiToken("hub-a", Path("a.token"), "an0ther", Scope("/a")),),
    file_routes=(
        Route("/docs", "http://user:passw0rd@10.0.0.9:1"),
        Route("/team", "http://t", options=RouteOptions(headers=(("X-Key", "hidd3n"),))),
    ),
    worker=WorkerConfig(rules=ForwardRules(custom_headers=(("X-All", "c0vered"),))),
)


def worker(**rules: Any) -> WorkerConfig:
    return WorkerConfig(rules=replace(PLAIN.worker.rules, **rules))


@pytest.mark.parametrize(
    ("what", "settings"),
    [
        ("tokens", replace(PLAIN, api_token="other")),
        ("tokens", replace(PLAIN, api_tokens=())),
        ("tokens", replace(PLAIN, api_tokens=(replace(PLAIN.api_tokens[0], token="x"),))),
        ("tokens", replace(PLAIN, api_tokens=(replace(PLAIN.api_tokens[0], scope=Scope("/b")),))),
        ("routes", replace(PLAIN, file_routes=PLAIN.file_routes[:1])),
        ("routes", replace(PLAIN, file_routes=(Route("/docs", "http://user:x@10.0.0.9:1"),))),
        ("routing", replace(PLAIN, worker=worker(host_routing=True))),
        ("routing", replace(PLAIN, worker=worker(custom_headers=(("X-All", "other"),)))),
        ("routing", replace(PLAIN, worker=worker(error_target="http://e"))),
    ],
)
def test_what_differs_is_seen(what: str, settings: Settings) -> None:
    assert differences(described(PLAIN), described(settings)) == [what]


def test_what_is_the_same_does_not_differ() -> None:
    same = replace(PLAIN, file_routes=PLAIN.file_routes[::-1], log_level="debug")
    assert differences(described(PLAIN), described(same)) == []
    newer = described(PLAIN) | {"release": "9.9.9"}
    assert differences(described(PLAIN), newer) == ["release"]
    # An older release, or a record that cannot be read, has told nothing of it.
    assert differences(described(PLAIN), {}) == []
    assert differences(described(PLAIN), {"same": None}) == []
    assert differences(described(PLAIN), {"same": {"later": "x"}}) == []


def test_nothing_secret_is_in_it_and_no_mark_confirms_a_guess() -> None:
    text = json.dumps(described(PLAIN))
    for secret in ("s3cret-token", "an0ther", "passw0rd", "hidd3n", "c0vered"):
        assert secret not in text
    marks = described(PLAIN)["same"]
    # Of what is secret, three hexadecimal digits: too few to tell a guess that fits from the truth.
    assert all(re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]{3}", mark) for mark in marks.values())
    guesses = {
        described(Settings(api_token=f"guess {number}"))["same"]["tokens"].partition("-")[0]
        for number in range(3)
    }
    assert len(guesses) == 1
    # The secret of another table gives other marks.
    assert described(PLAIN, "another")["same"]["tokens"] != marks["tokens"]


def test_where_it_is() -> None:
    listeners = listening(public=Address("", 8000), api=Address("::", 8001))
    describe = SelfDescription(Settings(), listeners)
    about = describe("secret", "10.0.0.1")
    assert about["public"] == ["http://10.0.0.1:8000"]
    assert about["api"] == about["health"] == ["http://10.0.0.1:8001"]
    tls = ServerTLS("cert", "key")
    listeners = listening(
        public=Address("hub.example.org", 443),
        api=Address("127.0.0.1", 8001),
        health=Address("", 8003),
    )
    describe = SelfDescription(Settings(worker=WorkerConfig(tls=tls), api_tls=tls), listeners)
    about = describe("secret", "fd00::1")
    assert about["public"] == ["https://hub.example.org:443"]
    assert about["api"] == ["https://127.0.0.1:8001"]
    assert about["health"] == ["http://[fd00::1]:8003"]
    unix = SelfDescription(Settings(), listening(api=Address(path="/run/hub gate.sock")))
    assert unix("secret", "10.0.0.1")["health"] == ["http+unix://%2Frun%2Fhub%20gate.sock"]


def test_a_reload_changes_it() -> None:
    describe = SelfDescription(PLAIN, listening())
    before = describe("secret", "10.0.0.1")
    describe.update(replace(PLAIN, file_routes=()))
    assert differences(before, describe("secret", "10.0.0.1")) == ["routes"]
