"""`proxyctl export`, `import` and `watch` on a running hubgate."""

import json
import os
import pty
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.running import FILE, PATIENCE, PROXYCTL, TOKEN, Proxy, run, running
from tests.environment import clean_environment

pytestmark = pytest.mark.processes

TARGET = "http://127.0.0.1:9"
ROUTES = {"/a": {"target": TARGET}, "/b": {"target": TARGET, "headers": {"X-A": "b"}}}


@pytest.fixture
def proxy(tmp_path: Path) -> Iterator[Proxy]:
    (tmp_path / "routes.yaml").write_text(FILE)
    with running(tmp_path, (*PROXYCTL, "serve"), env=TOKEN) as running_one:
        yield running_one


def ctl(proxy: Proxy, *args: str, code: int = 0) -> str:
    """Run a command; return what it says, on stderr if it fails."""
    done = run(PROXYCTL, *args, cwd=proxy.log_file.parent, env=env(proxy))
    assert done.returncode == code, done.stderr
    return done.stdout if code == 0 else done.stderr


def env(proxy: Proxy) -> dict[str, str]:
    return {**TOKEN, "HUBGATE_API_URL": proxy.api_url}


def write(proxy: Proxy, routes: Any, name: str = "in.json") -> str:
    path = proxy.log_file.parent / name
    path.write_text(routes if isinstance(routes, str) else json.dumps(routes))
    return str(path)


def targets(proxy: Proxy) -> set[str]:
    return set(json.loads(ctl(proxy, "list", "--json")))


def test_what_is_exported_can_be_imported(proxy: Proxy, tmp_path: Path) -> None:
    assert "2 added" in ctl(proxy, "import", write(proxy, ROUTES))
    ctl(proxy, "add", "/user/x", TARGET, "--data", '{"jupyterhub": true}')
    exported = ctl(proxy, "export")
    assert len(exported.splitlines()) == 2 + 4  # a route on each line
    assert ctl(proxy, "export", "out.json") == ""
    out = tmp_path / "out.json"
    assert json.loads(out.read_text()) == json.loads(exported)
    assert out.stat().st_mode & 0o777 == 0o600
    assert ctl(proxy, "import", "out.json") == (
        "imported out.json: 0 added, 0 changed, 0 removed\n"
    )
    # Without the others; those of the hub and of routes.yaml stay.
    said = ctl(proxy, "import", "--replace", write(proxy, {}))
    assert "2 removed; 1 left to their hub" in said
    assert targets(proxy) == {"/fixed", "/user/x"}
    ctl(proxy, "import", "out.json", "--replace")
    assert json.loads(ctl(proxy, "export"))["/b"] == json.loads(exported)["/b"]
    assert "3 removed" in ctl(proxy, "import", "--replace", "--hub", write(proxy, {}))


def test_importing_makes_routes_what_the_file_says(proxy: Proxy) -> None:
    ctl(proxy, "add", "/a", TARGET, "--data", '{"old": 1, "deep": {"x": 1, "y": 2}}')
    ctl(proxy, "add", "/other", TARGET)
    wanted = {"/a": {"target": TARGET, "deep": {"y": 3}}}
    assert "0 added, 1 changed, 0 removed" in ctl(proxy, "import", write(proxy, wanted))
    shown = json.loads(ctl(proxy, "get", "/a", "--json"))
    del shown["last_activity"]
    assert shown == wanted["/a"]
    assert "/other" in targets(proxy)


def test_a_dry_run_shows_the_difference_and_changes_nothing(proxy: Proxy) -> None:
    for key in ("/gone", "/a", "/user/x"):
        data = '{"jupyterhub": true}' if key == "/user/x" else '{"x": 1}'
        ctl(proxy, "add", key, TARGET, "--data", data)
    before = targets(proxy)
    file = write(proxy, {**ROUTES, "/user/x": {"target": TARGET}})
    lines = ctl(proxy, "import", "--dry-run", "--replace", file).splitlines()
    left = "= /user/x  left to their hub (--hub changes them)"
    assert lines == ["+ /b", "~ /a", "- /gone", left]
    assert ctl(proxy, "import", "--dry-run", file).splitlines() == ["+ /b", "~ /a", left]
    assert "~ /user/x" in ctl(proxy, "import", "--dry-run", "--hub", file)
    same = write(proxy, {"/user/x": {"target": TARGET}})
    assert ctl(proxy, "import", "--dry-run", same).splitlines() == [left, "nothing would change"]
    assert ctl(proxy, "import", "--dry-run", write(proxy, {})) == "nothing would change\n"
    assert targets(proxy) == before


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "it is not a valid JSON object"),
        ("[1]", "it is not a valid JSON object"),
        ('{"/a": 1}', "/a: write an object with a \"target\""),
        ('{"/a": {"target": "http://h"}, "/a/": {"target": "http://h"}}', "/a/: is there twice"),
        ('{"/a": {"target": "ftp://h"}}', "/a: target: "),
        ('{"/a": {"target": "http://h:1"}, "/fixed": {"target": "http://h:1"}}', "routes.yaml"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_and_changes_nothing(proxy: Proxy, content: str, said: str) -> None:
    for options in ((), ("--replace",)):
        error = ctl(proxy, "import", *options, write(proxy, content), code=1)
        assert len(error.splitlines()) == 1, error
        assert said in error
    assert targets(proxy) == {"/fixed"}


def test_every_mistake_in_a_file_is_named(proxy: Proxy) -> None:
    wrong = {"/a": 1, "/b": {"target": TARGET}, "BAD HOST/c": {"target": TARGET}, "/b/": {}}
    said = ctl(proxy, "import", write(proxy, wrong), code=1).splitlines()
    assert len(said) == 3
    assert said[0].endswith('in.json: /a: write an object with a "target"')
    assert "in.json: BAD HOST/c: bad host" in said[1]
    assert "in.json: /b/: write an object" in said[2]
    said = ctl(proxy, "import", write(proxy, {f"/{n}": 1 for n in range(30)}), code=1).splitlines()
    assert len(said) == 21
    assert said[-1].endswith("in.json: and 10 more")


def test_an_export_is_in_the_order_of_keys(proxy: Proxy) -> None:
    for key in ("/z", "/a", "/m"):
        ctl(proxy, "add", key, TARGET)
    assert [*json.loads(ctl(proxy, "export"))] == ["/a", "/fixed", "/m", "/z"]


def test_standard_input_can_be_imported(proxy: Proxy) -> None:
    done = subprocess.run(
        [*PROXYCTL, "import", "-"],
        input=json.dumps(ROUTES).encode(),
        env=clean_environment(env(proxy)),
        capture_output=True,
        timeout=PATIENCE,
        check=True,
    )
    assert b"imported standard input: 2 added" in done.stdout


def test_on_a_terminal_a_bar_shows_how_far_it_is(proxy: Proxy) -> None:
    routes = {f"/{number}": {"target": TARGET} for number in range(5000)}
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*PROXYCTL, "import", write(proxy, routes)],
        env=clean_environment({**env(proxy), "TERM": "xterm"}),
        stdout=subprocess.PIPE,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        shown += piece
        if not piece:
            break
    os.close(ours)
    assert "5000 added" in process.communicate(timeout=PATIENCE)[0].decode()
    assert process.returncode == 0
    assert b"sending" in shown
    # How long that takes is not known.
    assert b"storing" in shown
    assert not re.search(rb"storing[^\r\n]*100%", shown)


def watching(proxy: Proxy, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PROXYCTL, "watch", *options],
        env=clean_environment(env(proxy)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_changes_are_watched_over_an_upgrade_until_ctrl_c(proxy: Proxy) -> None:
    watcher = watching(proxy)
    assert watcher.stdout is not None
    try:
        assert re.fullmatch(r"\S+ table: 1 route\n", watcher.stdout.readline())
        ctl(proxy, "add", "/a", TARGET)
        assert re.fullmatch(rf"\S+ put /a -> {TARGET}\n", watcher.stdout.readline())
        ctl(proxy, "upgrade")
        # Another process has another history: the table comes again.
        assert re.fullmatch(r"\S+ reset: 2 routes\n", watcher.stdout.readline())
        ctl(proxy, "remove", "/a")
        assert re.fullmatch(r"\S+ deleted /a\n", watcher.stdout.readline())
        watcher.send_signal(signal.SIGINT)
        out, err = watcher.communicate(timeout=PATIENCE)
    finally:
        watcher.kill()
    assert (watcher.returncode, out, err.strip()) == (130, "", "")


def test_as_json_the_whole_table_comes_first(proxy: Proxy) -> None:
    watcher = watching(proxy, "--json", "--once")
    assert watcher.stdout is not None
    try:
        table = json.loads(watcher.stdout.readline())
        assert (table["event"], table["data"].keys()) == ("table", {"/fixed"})
        ctl(proxy, "add", "/a", TARGET)
        out, err = watcher.communicate(timeout=PATIENCE)
    finally:
        watcher.kill()
    assert (watcher.returncode, err) == (0, "")
    assert json.loads(out)["data"] == {"put": {"/a": {"target": TARGET}}, "delete": []}


def test_a_stop_says_that_it_tries_again(proxy: Proxy) -> None:
    watcher = watching(proxy)
    assert watcher.stdout is not None
    assert watcher.stderr is not None
    try:
        watcher.stdout.readline()
        assert proxy.stop() == 0
        assert "trying again" in watcher.stderr.readline()
    finally:
        watcher.kill()
        watcher.communicate()
