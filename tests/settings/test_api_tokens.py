"""`api: {tokens: …}`: what is read, and what is a mistake."""

from dataclasses import replace
from pathlib import Path

import pytest

from hubgate.model import Address
from hubgate.routing.scope import EVERYTHING, Scope
from hubgate.settings import Settings
from hubgate.settings.changes import changed, taken_over
from hubgate.settings.exposure import exposure_mistakes, exposure_warnings, is_guarded
from hubgate.settings.files import watched_files
from hubgate.settings.values import ApiToken
from tests.settings.reading import Read, lines_of

TWO = """
api:
  tokens:
    - {name: hub-a, file: a.token, scope: Hub-A.example.org/, host_routing: true}
    - {name: hub-b, file: b.token, scope: /hub-b/}
    - {name: admin, file: c.token}
"""


@pytest.fixture(autouse=True)
def _files(tmp_path: Path) -> None:
    for letter in "abc":
        file = tmp_path / f"{letter}.token"
        file.write_text(f"secret-{letter}\n")
        file.chmod(0o600)


def test_tokens_are_read_with_their_scopes(read: Read, tmp_path: Path) -> None:
    settings = read(TWO)
    assert settings.api_tokens == (
        ApiToken(
            "hub-a",
            tmp_path / "a.token",
            "secret-a",
            Scope("hub-a.example.org", "/", host_routing=True),
        ),
        ApiToken("hub-b", tmp_path / "b.token", "secret-b", Scope("", "/hub-b")),
        ApiToken("admin", tmp_path / "c.token", "secret-c", EVERYTHING),
    )
    assert "secret" not in repr(settings)
    assert settings.token_for_everything == "secret-c"
    assert watched_files(settings)[1:] == [tmp_path / f"{letter}.token" for letter in "abc"]


def test_one_without_a_name_may_be_beside_them(read: Read, tmp_path: Path) -> None:
    assert read(TWO, {"HUBGATE_TOKEN": "main"}).token_for_everything == "main"
    scoped = read("api: {tokens: [{name: b, file: b.token, scope: /b}]}")
    assert (scoped.api_token, scoped.token_for_everything) == (None, None)
    with_file = read("api: {token_file: a.token, tokens: [{name: b, file: b.token, scope: /b}]}")
    assert with_file.token_for_everything == "secret-a"


def test_an_open_api_by_flag_has_none(read: Read) -> None:
    settings = read(TWO, api_open=True)
    assert (settings.api_tokens, settings.api_open) == ((), True)


LINE = "routes.yaml, line 1: api.tokens"


@pytest.mark.parametrize(
    ("tokens", "line"),
    [
        ("{name: a b, file: a.token}", "[0].name: 'a b' is not a name; write one word of"),
        ("{name: 7, file: a.token}", "[0].name: 7 is not a name; write one word of"),
        ("{name: a}", "[0].file: is missing; write it as in {name: hub-a, file: a.token"),
        ("{name: a, file: x}", "[0].file: x: no such file; put the token there"),
        ("{name: a, file: a.token, scope: hub}", "[0].scope: 'hub' has no path; write /hub for"),
        ("{name: a, file: a.token, scope: .h.x/}", "[0].scope: '.h.x/' has a dot in front; a host"),
        ("{name: a, file: a.token, scopes: /x}", "[0].scopes: unknown key; did you mean scope?"),
        (
            "{name: a, file: a.token, scope: /x, host_routing: true}",
            "[0]: host_routing needs a scope with the hub's host, such as hub-a.example.org/",
        ),
        (
            "{name: a, file: a.token}, {name: a, file: b.token}",
            "[1].name: 'a' is the name of another token; give each its own",
        ),
        (
            "{name: a, file: a.token, scope: /x}, {name: b, file: b.token, scope: /x/y}",
            "[1].scope: '/x/y' overlaps with the scope of a, '/x'; a route belongs to one hub only",
        ),
        (
            "{name: a, file: a.token}, {name: b, file: a.token}",
            "[1].file: a.token has the same token as a; give each its own",
        ),
    ],
)
def test_mistakes(read: Read, tmp_path: Path, tokens: str, line: str) -> None:
    (found,) = lines_of(lambda: read(f"api: {{tokens: [{tokens}]}}"), tmp_path)
    assert found.startswith(LINE + line)


def test_what_is_not_a_list(read: Read, tmp_path: Path) -> None:
    for text, what in (("{name: a}", "a mapping"), ("a.token", "text"), ("null", "empty")):
        (line,) = lines_of(lambda t=text: read(f"api: {{tokens: {t}}}"), tmp_path)  # type: ignore[misc]
        assert line.startswith(f"{LINE}: is {what}, not a list; write [{{name: hub-a")


def test_a_token_that_is_the_main_one(read: Read, tmp_path: Path) -> None:
    (line,) = lines_of(lambda: read(TWO, {"HUBGATE_TOKEN": "secret-b"}), tmp_path)
    assert line.endswith(
        "tokens[1].file: b.token has the same token as the API's own; give each its own"
    )


def test_an_open_api_in_the_file(read: Read, tmp_path: Path) -> None:
    (line,) = lines_of(lambda: read(f"{TWO}  open: true\n"), tmp_path)
    assert line.endswith("api: has both open and tokens; keep one")


def test_host_routing_of_all_and_of_one(read: Read, tmp_path: Path) -> None:
    text = f"forward: {{host_routing: true}}\nroutes: {{.x.org/: 'http://127.0.0.1:1'}}{TWO}"
    lines = lines_of(lambda: read(text), tmp_path)
    assert lines[0].endswith(
        "routes..x.org/: no subdomains go with forward.host_routing; drop one of them"
    )
    lines = lines_of(lambda: read(f"forward: {{host_routing: true}}{TWO}"), tmp_path)
    assert ["does not go with forward.host_routing" in line for line in lines] == [True, True]
    named = "api: {tokens: [{name: a, file: a.token}]}\nforward: {host_routing: true}"
    assert len(read(named).api_tokens) == 1


def test_all_mistakes_are_told_at_once(read: Read, tmp_path: Path) -> None:
    text = "api: {tokens: [{name: a, file: x, scope: /a}, {name: a, file: y, scope: /a}]}"
    assert len(lines_of(lambda: read(text), tmp_path)) == 4


# --- what they guard ---


SCOPED = ApiToken("a", Path("a"), "secret", Scope("", "/a"))
PUBLIC = (Address("0.0.0.0", 8001),)


def test_an_api_with_nothing_but_scoped_tokens_is_guarded() -> None:
    settings = Settings(api=PUBLIC, api_tokens=(SCOPED,))
    assert is_guarded(settings)
    assert not exposure_mistakes(settings, no_ssl=False)
    assert exposure_warnings(settings) == [
        "The API's token crosses the network unencrypted: no TLS on 0.0.0.0:8001."
    ]


def test_each_file_that_all_can_read_is_named(read: Read, tmp_path: Path) -> None:
    for letter in "ab":
        (tmp_path / f"{letter}.token").chmod(0o644)
    lines = exposure_warnings(read(TWO))
    assert [line.partition(":")[0] for line in lines] == [
        f"{tmp_path}/{each}.token" for each in "ab"
    ]


def test_a_reload_takes_them_over_and_never_leaves_the_api_open() -> None:
    one, other = Settings(api_token="main"), Settings(api_tokens=(SCOPED,))
    assert list(changed(one, other)) == ["the API's token", "api.tokens"]
    assert taken_over(one, other) == other
    assert taken_over(other, one) == one
    assert taken_over(other, Settings(api_open=True)) == other
    assert taken_over(other, replace(other, api_tokens=())) == other
