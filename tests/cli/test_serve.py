"""`proxyctl serve` and `check`, and the commands that talk to a running hubgate, for real."""

import json
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from hubgate import __version__
from hubgate.cli import main
from hubgate.cli import run_command as run_command_module
from tests.certificates.made import make_files
from tests.cli.running import DROP_IN, FILE, PATIENCE, PROXYCTL, Proxy, run, running

pytestmark = pytest.mark.processes

ANY_PORT = ("--ip", "127.0.0.1", "--port", "0", "--api-port", "0")
Answer = tuple[int, str, str]
Ask = Callable[..., Answer]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run `proxyctl` in this process; returns exit code, output and complaint."""

    def call(*args: str) -> Answer:
        code = run_command_module.run(main.load(), args, "proxyctl", usage_exit=2)
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


@pytest.fixture
def ask(proxy: Proxy, call: Ask, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Run `proxyctl` against the proxy."""
    monkeypatch.setenv("HUBGATE_API_URL", proxy.api_url)

    def ask(*args: str, token: str = "s3cret") -> Answer:
        monkeypatch.setenv("HUBGATE_TOKEN", token)
        code, output, complaint = call(*args)
        return code, output, complaint.removeprefix("proxyctl: ").rstrip()

    return ask


def test_help_and_version(call: Ask) -> None:
    assert run(PROXYCTL, "--version").stdout == f"{__version__}\n"
    for args in ((), ("--help",), ("-h",)):
        code, said, _ = call(*args)
        assert code == 0
        for name in ("serve", "check", "certs", "add", "remove", "list", "get"):
            assert f"\n  {name} " in said
    assert "no-ssl" in call("serve", "--help")[1]


def test_wrong_usage_is_exit_2(call: Ask) -> None:
    assert run(PROXYCTL, "bogus").returncode == 2
    for args in (("bogus",), ("serve", "--bogus"), ("add", "/a"), ("add", "a", "http://b")):
        code, _, complaint = call(*args)
        assert code == 2
        assert complaint.startswith("proxyctl: ")
        assert complaint.count("\n") == 1


def test_routes_come_and_go(ask: Ask) -> None:
    assert ask("add", "/a/", "http://127.0.0.1:9", "--header", "X-Team: physics") == (
        0,
        "added /a -> http://127.0.0.1:9\n",
        "",
    )
    assert ask("add", "/a", "http://b")[1] == "replaced /a -> http://b (was http://127.0.0.1:9)\n"
    assert ask("add", "/a", "http://b")[1] == "unchanged /a -> http://b\n"
    assert ask("add", "/a", "http://b", "--strip-prefix")[1] == (
        "replaced /a -> http://b (same target, other options)\n"
    )
    assert ask("add", "/a", "http://127.0.0.1:9", "--header", "X-Team: physics")[0] == 0
    assert ask("add", "a.example/", "http://b", "--strip-prefix", "--data", '{"u": 1}')[0] == 0
    code, listed, _ = ask("list")
    assert code == 0
    rows = [row.split("\t") for row in listed.splitlines()]
    assert [row[:2] for row in rows] == [
        ["/a", "http://127.0.0.1:9"],
        ["/fixed", "http://127.0.0.1:1"],
        ["a.example/", "http://b"],
    ]
    assert all(row[2].endswith("Z") for row in rows)
    table = json.loads(ask("list", "--json")[1])
    assert table["/a"]["headers"] == {"X-Team": "physics"}
    one = json.loads(ask("get", "a.example/", "--json")[1])
    assert (one["target"], one["strip_prefix"], one["u"]) == ("http://b", True, 1)
    assert "target\thttp://127.0.0.1:9\n" in ask("get", "/a")[1]
    assert ask("remove", "/a") == (0, "removed /a\n", "")
    assert ask("remove", "a.example/") == (0, "removed a.example/\n", "")
    assert list(json.loads(ask("list", "--json")[1])) == ["/fixed"]


def test_a_name_with_unusual_characters_survives_the_way(ask: Ask) -> None:
    assert ask("add", "/user/a%40b%20c%25é", "http://b")[0] == 0
    assert "/user/a@b c%é" in json.loads(ask("list", "--json")[1])
    assert ask("remove", "/user/a@b c%25é")[0] == 0


def test_what_the_api_refuses_is_one_line(ask: Ask) -> None:
    assert ask("remove", "/none") == (
        1,
        "",
        "/none: no such route; see `proxyctl list`",
    )
    assert ask("get", "/")[2] == "/: no such route; see `proxyctl list`"
    code, _, line = ask("add", "/fixed", "http://b")
    assert code == 1
    assert line.startswith("/fixed: ")
    assert "routes.yaml" in line
    code, _, line = ask("list", token="wrong")
    assert code == 1
    assert "needs another token than that in HUBGATE_TOKEN; correct or unset it, give" in line
    # Without one, that of the running hubgate is used.
    assert ask("list", token="")[0] == 0


def test_a_token_file_beats_the_environment(ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    assert ask("list", "--token-file", str(tmp_path / "token"), token="wrong")[0] == 0


def test_a_wrong_token_is_named_by_where_it_is(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "token"
    file.write_text("wrong\n")
    assert f"another token than that in {file}; " in ask("list", "--token-file", str(file))[2]
    monkeypatch.setenv("HUBGATE_TOKEN_FILE", str(file))
    assert f"another token than that in {file}; " in ask("list", token="")[2]
    monkeypatch.setenv("CONFIGPROXY_AUTH_TOKEN", "wrong")
    assert "another token than that in CONFIGPROXY_AUTH_TOKEN; " in ask("list", token="")[2]
    monkeypatch.setenv("CONFIGPROXY_AUTH_TOKEN", "s3cret")
    assert ask("list", token="")[0] == 0


def test_the_token_of_the_running_one_counts_whatever_is_in_its_file(
    proxy: Proxy, ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    file = tmp_path / "hubgate" / f"api-{proxy.api_url.rpartition(':')[2]}.token"
    file.parent.mkdir(exist_ok=True)
    file.touch(0o600)
    file.write_text("wrong")
    assert ask("list", token="")[0] == 0


def test_a_token_file_of_the_environment_comes_last(
    ask: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    monkeypatch.setenv("HUBGATE_TOKEN_FILE", str(tmp_path / "token"))
    assert ask("list", token="")[0] == 0
    assert ask("list", token="wrong")[0] == 1


def test_the_example_can_be_served(tmp_path: Path) -> None:
    example = Path(__file__).parents[2] / "routes.yaml"
    args = (str(example), "--port", "0", "--api-port", "0")
    with running(tmp_path, PROXYCTL, "serve", *args) as proxy:
        assert proxy.url
        assert proxy.stop() == 0


def test_a_changed_file_is_taken_over(proxy: Proxy, ask: Ask, tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text(FILE + "  /more: http://127.0.0.1:2\n")
    proxy.wait_for("reloaded")
    assert list(json.loads(ask("list", "--json")[1])) == ["/fixed", "/more"]


def test_every_mistake_of_a_changed_file_is_logged(proxy: Proxy, tmp_path: Path) -> None:
    mistakes = "  /a: 'http://h:x'\n  /b: gopher://h\nworkers: none\n"
    (tmp_path / "routes.yaml").write_text(FILE + mistakes)
    for place in ("routes./a.target: ", "routes./b.target: ", "workers: "):
        proxy.wait_for(rf"error: not reloaded, .*{re.escape(place)}")


def test_a_host_is_not_lost_on_a_proxy_whose_routes_have_none(
    call: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(tmp_path, DROP_IN, *ANY_PORT) as proxy:
        monkeypatch.setenv("HUBGATE_API_URL", proxy.api_url)
        code, _, line = call("add", "hub.example.org/a", "http://b")
        assert code == 1
        assert line.startswith("proxyctl: hub.example.org/a: host: routes have no host here;")
        assert call("list", "--json")[1] == "{}\n"


def test_a_route_of_the_file_is_served(proxy: Proxy) -> None:
    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.urlopen(proxy.url + "/fixed/x", timeout=PATIENCE)
    with answer.value as error:
        # The route is there; its target is not.
        assert error.code == 503
    assert proxy.stop() == 0


def test_a_guarded_api_over_tls_and_over_a_socket(call: Ask, tmp_path: Path) -> None:
    files = make_files(tmp_path)
    (tmp_path / "routes.yaml").write_text(
        f"listen: {{port: 0}}\napi: {{port: 0, tls: {{cert: hub.pem, key: hub-key.pem,"
        f" ca: {files.ca}, client_certificates: require}}}}\n"
    )
    with running(tmp_path, PROXYCTL, "serve") as proxy:
        url = proxy.api_url
        assert url.startswith("https://")
        known = ("--ca", files.ca, "--cert", files.cert, "--key", files.key)
        assert call("list", "--api-url", url, *known) == (0, "", "")
        # Its own certificate is known, and client certificates cannot be guessed.
        assert call("list", "--api-url", url, *known[2:]) == (0, "", "")
        for authority in (known[:2], ()):
            code, _, complaint = call("list", "--api-url", url, *authority)
            assert code == 1
            assert complaint.count("\n") == 1
    args = ("none.yaml", "--port", "0", "--api-socket", "api.sock")
    (tmp_path / "none.yaml").write_text("")
    with running(tmp_path, PROXYCTL, "serve", *args) as proxy:
        assert proxy.wait_for("Proxy API at")
        path = str(tmp_path / "api.sock").replace("/", "%2F")
        assert call("list", "--api-url", f"http+unix://{path}") == (0, "", "")


# --- check ------------------------------------------------------------------------------------


def test_check_says_what_would_happen(
    call: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = make_files(tmp_path)
    (tmp_path / "routes.yaml").write_text(
        """
listen: {port: 443, redirect_port: 80, tls: {cert: hub.pem, key: hub-key.pem}}
metrics: {port: 9}
health: {port: 10}
workers: 2
routes: {/a: "http://b"}
"""
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HUBGATE_TOKEN", "s3cret")
    own = Path(os.environ["XDG_STATE_HOME"], "hubgate", "api-8001.routes.db")
    code, said, complaint = call("check")
    assert (code, complaint) == (0, "")
    assert said == (
        "proxy    https://*:443, 2 workers\n"
        "redirect http://*:80 to https on port 443\n"
        "api      http://127.0.0.1:8001, guarded\n"
        "metrics  http://127.0.0.1:9\n"
        "health   http://127.0.0.1:10\n"
        f"store    sqlite:{own}, as nobody named another\n"
        "routes   1 in the file\n"
        "         /a -> http://b\n"
    )
    assert files.cert


def test_check_takes_the_flags_of_serve(
    call: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, said, complaint = call("check", "--port", "81", "--api-port", "82", "--api-open")
    assert (code, complaint) == (0, "warning: REST API is not authenticated.\n")
    assert said.startswith("proxy    http://127.0.0.1:81, 1 worker\n")
    assert said.endswith("routes   those of the API; no file was read\n")


def test_check_names_every_mistake(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text("workers: x\nroutes:\n  a/b: http://b\n")
    said = run(PROXYCTL, "check", "my.yaml", cwd=tmp_path)
    assert said.returncode == 1
    assert said.stdout == ""
    assert said.stderr == (
        "error: my.yaml, line 1: workers: 'x' is not a valid number of workers;"
        " write 1 to 256, or auto\n"
        "error: my.yaml, line 3: routes.a/b: 'a/b' does not start with a slash; write /a/b\n"
    )


def test_check_says_what_kubernetes_has_set(
    call: Ask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HUBGATE_PORT", "tcp://10.0.0.1:8000")
    monkeypatch.setenv("HUBGATE_TOKEN", "s3cret")
    code, said, complaint = call("check")
    assert (code, complaint) == (0, "")
    assert said.startswith("proxy    http://127.0.0.1:8000, 1 worker\n")
    assert "\nnote: HUBGATE_PORT is ignored: tcp://10.0.0.1:8000 is what Kubernetes sets" in said


def test_serve_refuses_what_check_refuses(tmp_path: Path) -> None:
    for args in (("--host", "0.0.0.0"), ("none.yaml",), ("--api-host", "::")):
        said = run(PROXYCTL, "serve", *args, cwd=tmp_path)
        assert said.returncode == 1
        assert said.stderr.startswith("proxyctl: ")
        assert said.stderr.count("\n") == 1
