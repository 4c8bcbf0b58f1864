"""`proxyctl` with a token for a part of the routes, and a hubgate that has several."""

import os
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from tests.cli.running import PROXYCTL, Proxy, run, running
from tests.contract.polling import eventually

pytestmark = pytest.mark.processes

TOKENS = {
    "a": "scope: hub-a.example.org/, host_routing: true",
    "b": "scope: /hub-b/",
    "c": "scope: hub-c.example.org/",
}
TARGET = "http://127.0.0.1:9"


def write(folder: Path, *names: str) -> None:
    """Write routes.yaml with these tokens; `admin` is one without a scope."""
    lines = ["listen: {port: 0}", "api:", "  port: 0", "  tokens:"]
    for name in names:
        token = folder / f"{name}.token"
        if not token.exists():
            token.touch(0o600)
            token.write_text(f"secret-{name}")
        lines.append(f"  - {{name: {name}, file: {name}.token, {TOKENS.get(name, '')}}}")
    fresh = folder / "routes.new"
    fresh.write_text("\n".join(lines))
    os.replace(fresh, folder / "routes.yaml")


@pytest.fixture
def several(tmp_path: Path) -> Iterator[Proxy]:
    write(tmp_path, *TOKENS, "admin")
    with running(tmp_path, PROXYCTL, "serve", env=state(tmp_path)) as proxy:
        assert proxy.api_url
        yield proxy
    assert "secret" not in proxy.log


def state(folder: Path) -> dict[str, str]:
    return {"XDG_STATE_HOME": str(folder / "state")}


def ask(proxy: Proxy, name: str, *args: str) -> CompletedProcess[str]:
    """Run a command with the token of that name, "" for none."""
    folder = proxy.log_file.parent
    given = ("--token-file", str(folder / f"{name}.token")) if name else ()
    return run(PROXYCTL, *args, *given, "--api-url", proxy.api_url, env=state(folder))


def listed(proxy: Proxy, name: str) -> list[str]:
    return [line.partition("\t")[0] for line in ask(proxy, name, "list").stdout.splitlines()]


@pytest.mark.parametrize(
    ("name", "key", "stored"),
    [
        ("a", "/al.hub-a.example.org/user/al", "al.hub-a.example.org/user/al"),
        ("b", "/hub-b/user/bo", "/hub-b/user/bo"),
        ("c", "/user/ca", ".hub-c.example.org/user/ca"),
    ],
)
def test_routes_are_called_as_the_hub_calls_them(
    several: Proxy, name: str, key: str, stored: str
) -> None:
    assert ask(several, name, "add", key, TARGET).stdout == f"added {key} -> {TARGET}\n"
    assert listed(several, name) == [key]
    assert ask(several, name, "get", key).stdout.splitlines()[-1].endswith(TARGET)
    # Found by itself is the token for everything.
    assert listed(several, "") == [stored]
    assert ask(several, "", "get", stored).returncode == 0
    other = "b" if name != "b" else "c"
    assert listed(several, other) == []
    done = ask(several, other, "remove", stored)
    assert (done.returncode, done.stderr) == (
        1,
        f"proxyctl: {stored}: no such route; see `proxyctl list`\n",
    )
    assert ask(several, name, "remove", key).stdout == f"removed {key}\n"
    assert listed(several, "") == []


def test_the_default_of_a_host_with_its_subdomains(several: Proxy) -> None:
    for name in ("a", "c"):
        assert ask(several, name, "add", "/", TARGET).returncode == 0
        assert ask(several, name, "get", "/").returncode == 0
        assert listed(several, name) == ["/"]
    assert listed(several, "admin") == [".hub-a.example.org/", ".hub-c.example.org/"]
    assert ask(several, "admin", "get", ".hub-a.example.org/").returncode == 0
    assert ask(several, "admin", "remove", ".hub-a.example.org/").returncode == 0
    assert listed(several, "a") == []


def test_what_is_outside_is_refused_in_one_line(several: Proxy) -> None:
    refusals = {
        ("add", "/user/x", TARGET): "route /user/x is outside this token's scope, which is /hub-b",
        ("reload",): "this needs a token without a scope; the scope of this one is /hub-b",
        ("upgrade",): "this needs a token without a scope; the scope of this one is /hub-b",
    }
    for command, text in refusals.items():
        done = ask(several, "b", *command)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"proxyctl: {several.api_url}: {text}\n"
    assert ask(several, "", "reload").returncode == 0


def test_a_changed_token_counts_at_once_and_a_bad_one_does_not(several: Proxy) -> None:
    folder = several.log_file.parent
    fresh = folder / "fresh.token"
    for text, said in (("secret-new", "reloaded: api.tokens"), ("", "b.token: is empty; put the")):
        fresh.touch(0o600)
        fresh.write_text(text)
        os.replace(fresh, folder / "b.token")
        several.wait_for(said)
    (folder / "b.token").write_text("secret-new")
    assert ask(several, "b", "list").returncode == 0
    (folder / "old.token").write_text("secret-b")
    assert ask(several, "old", "list").returncode == 1
    (folder / "b.token").write_text("secret-b")
    assert eventually(lambda: several.log.count("reloaded: api.tokens") == 2, 60)
    assert ask(several, "b", "list").returncode == 0


def test_an_upgrade_keeps_tokens_and_routes(several: Proxy) -> None:
    ask(several, "a", "add", "/", TARGET)
    done = ask(several, "", "upgrade")
    assert done.returncode == 0, done.stderr
    assert ask(several, "b", "add", "/hub-b", TARGET).returncode == 0
    assert (listed(several, "a"), listed(several, "b")) == (["/"], ["/hub-b"])
    assert listed(several, "") == [".hub-a.example.org/", "/hub-b"]


def test_where_all_tokens_have_scopes_none_is_made_or_found(tmp_path: Path) -> None:
    write(tmp_path, "b")
    checked = run(PROXYCTL, "check", cwd=tmp_path, env=state(tmp_path))
    lines = checked.stdout.splitlines()
    assert "api      http://127.0.0.1 (a free port), guarded" in lines
    assert f"token    {tmp_path}/b.token of b, for /hub-b" in lines
    with running(tmp_path, PROXYCTL, "serve", env=state(tmp_path)) as proxy:
        assert listed(proxy, "b") == []
        done = ask(proxy, "", "list")
        assert (done.returncode, done.stdout) == (1, "")
        assert "needs a token; set HUBGATE_TOKEN, give --token-file" in done.stderr
        assert not list((tmp_path / "state").rglob("*.token"))
