"""`proxyctl replicas` against hubgates that share a Redis, and one that shares nothing."""

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from tests.cli.running import PROXYCTL, TOKEN, Proxy, run, running
from tests.contract.polling import eventually
from tests.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.processes

Start = Callable[..., Proxy]


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path / "redis") as server:
        yield server


@pytest.fixture
def start(tmp_path: Path, redis: RedisServer) -> Iterator[Start]:
    """Start replicas by name; what is said of `more` goes into routes.yaml as well."""
    with ExitStack() as stack:

        def start(name: str, more: str = "", token: str = "s3cret") -> Proxy:
            folder = tmp_path / name
            folder.mkdir(exist_ok=True)
            (folder / "routes.yaml").write_text(
                "listen: {port: 0}\napi: {port: 0}\n"
                f"store: {redis.url}\nreplicas: {{name: {name}, lease: 1.5}}\n{more}"
            )
            env = {"HUBGATE_TOKEN": token}
            proxy = stack.enter_context(running(folder, PROXYCTL, "serve", env=env))
            assert proxy.api_url
            return proxy

        yield start


def replicas(proxy: Proxy, *flags: str) -> CompletedProcess[str]:
    return run(PROXYCTL, "replicas", "--api-url", proxy.api_url, *flags, env=TOKEN)


def seen(proxy: Proxy) -> dict[str, Any]:
    return {each["name"]: each for each in json.loads(replicas(proxy, "--json").stdout)["replicas"]}


def test_those_that_are_alike(start: Start) -> None:
    one, other = start("one"), start("other")
    assert (
        run(
            PROXYCTL, "add", "/a", "http://127.0.0.1:1", "--api-url", other.api_url, env=TOKEN
        ).returncode
        == 0
    )
    # Who waits for nobody hears of what the others serve a second later.
    assert eventually(lambda: [each["revision"] for each in seen(one).values()] == [1, 1])
    done = replicas(one, "--check")
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    assert [row[:2] for row in rows] == [["one", "live"], ["other", "live"]]
    assert [row[3] for row in rows] == ["1", "1"]
    assert [row[6] for row in rows] == [one.api_url, other.api_url]
    found = seen(one)["other"]
    assert (found["public"], found["api"]) == ([other.url], [other.api_url])
    assert (found["live"], found["differs"]) == (True, [])
    assert found["started"] < found["last_seen"]


def test_what_differs_is_named_until_it_does_not(start: Start, tmp_path: Path) -> None:
    one = start("one", "routes: {/docs: http://127.0.0.1:1}\n")
    other = start("other", "forward: {x_forward: false}\n", token="an0ther")
    done = replicas(one)
    assert done.returncode == 0
    assert done.stderr == "warning: other: differs from one in routes, routing, tokens\n"
    assert replicas(one, "--check").returncode == 1
    file = tmp_path / "other" / "routes.yaml"
    file.write_text(
        file.read_text().replace(
            "forward: {x_forward: false}", "routes: {/docs: http://127.0.0.1:1}"
        )
    )
    assert eventually(lambda: seen(one)["other"]["differs"] == ["tokens"], 60)
    assert other.process.poll() is None


def test_one_that_is_killed_is_gone_and_one_that_ends_is_forgotten(start: Start) -> None:
    one, killed, ended = start("one"), start("killed"), start("ended")
    assert ended.stop() == 0
    killed.process.kill()
    killed.process.wait()
    assert eventually(lambda: not seen(one)["killed"]["live"], 60)
    assert sorted(seen(one)) == ["killed", "one"]
    done = replicas(one, "--check")
    assert done.returncode == 1
    assert done.stderr.startswith("error: killed: not live, last seen 20")
    assert start("killed").api_url
    assert replicas(one, "--check").returncode == 0


def test_while_redis_is_away_the_last_that_was_known_is_shown(
    start: Start, redis: RedisServer
) -> None:
    one, other = start("one"), start("other")
    assert seen(one).keys() == {"one", "other"}
    redis.kill()
    assert eventually(lambda: "the store is away" in replicas(one, "--check").stderr, 60)
    begun = time.monotonic()
    done = replicas(one, "--check")
    assert time.monotonic() < begun + 20
    assert done.returncode == 1
    rows = [line.split("\t")[:2] for line in done.stdout.splitlines()]
    assert rows == [["one", "live"], ["other", "live"]]
    (line,) = done.stderr.splitlines()
    assert "the store is away: see the log of one; this is what was known at 20" in line
    said = run(PROXYCTL, "upgrade", "--api-url", one.api_url, env=TOKEN).stderr
    assert said.startswith(f"proxyctl: {one.api_url}: store: redis://")
    assert other.process.poll() is None


def test_whose_name_is_taken_shows_what_it_knew(start: Start, tmp_path: Path) -> None:
    one, other = start("one"), start("other")
    assert seen(one).keys() == {"one", "other"}
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "routes.yaml").write_text((tmp_path / "one" / "routes.yaml").read_text())
    with running(tmp_path / "again", PROXYCTL, "serve", env=TOKEN) as again:
        assert again.api_url
        assert one.wait_for("another hubgate has the name 'one' now")
        # Longer than anybody's lease.
        assert eventually(lambda: "warning: other:" not in replicas(other).stderr)
        time.sleep(2)
        done = replicas(one, "--check")
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert "another replica has the name one: give each its own replicas.name; this is" in line
        assert [row["live"] for row in seen(one).values()] == [True, True]
    assert other.process.poll() is None


def test_a_new_name_needs_a_restart(start: Start, tmp_path: Path) -> None:
    one, file = start("one"), tmp_path / "one" / "routes.yaml"
    file.write_text(file.read_text().replace("name: one", "name: two"))
    done = run(PROXYCTL, "upgrade", "--api-url", one.api_url, env=TOKEN)
    assert done.returncode == 1
    assert done.stderr.endswith(": changed, and needs a restart: replicas.name\n")
    assert one.stop() == 0
    with running(tmp_path / "one", PROXYCTL, "serve", env=TOKEN) as two:
        assert two.api_url
        assert [*seen(two)] == ["two"]


def test_one_that_hangs_is_said_once_and_import_names_it(start: Start, tmp_path: Path) -> None:
    one, other = start("one"), start("other")
    routes = tmp_path / "in.json"
    routes.write_text('{"/a": {"target": "http://127.0.0.1:1"}}')
    other.process.send_signal(signal.SIGSTOP)
    try:
        api = ("--api-url", one.api_url)
        done = run(PROXYCTL, "import", *api, str(routes), env=TOKEN)
        assert done.stdout.endswith("1 added, 0 changed, 0 removed\n")
        assert done.stderr == "not served yet by other; see `proxyctl replicas`\n"
        assert one.wait_for(
            "warning: replica 'other' does not serve changes, which wait 1 s for it until its lease"
            " ends; see `proxyctl replicas`"
        )
        run(PROXYCTL, "remove", "/a", *api, env=TOKEN)
        assert one.wait_for("warning: replica 'other' is not waited for any more")
    finally:
        other.process.send_signal(signal.SIGCONT)
    assert one.log.count("does not serve changes") == 1


def test_without_a_shared_store_there_is_one(tmp_path: Path) -> None:
    flags = ("--port", "0", "--api-port", "0", "--store", "memory:")
    with running(tmp_path, PROXYCTL, "serve", *flags, env=TOKEN) as proxy:
        (row,) = seen(proxy).values()
        assert replicas(proxy, "--check").returncode == 0
        assert (row["live"], row["api"], row["differs"]) == (True, [proxy.api_url], [])


def test_a_token_with_a_scope_is_refused(tmp_path: Path) -> None:
    token = tmp_path / "a.token"
    token.touch(0o600)
    token.write_text("of-hub-a")
    (tmp_path / "routes.yaml").write_text(
        "listen: {port: 0}\napi: {port: 0, tokens: [{name: a, file: a.token, scope: /a/}]}\n"
    )
    with running(tmp_path, PROXYCTL, "serve") as proxy:
        env = {"HUBGATE_TOKEN": "of-hub-a"}
        done = run(PROXYCTL, "replicas", "--api-url", proxy.api_url, env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert "this needs a token without a scope" in done.stderr
