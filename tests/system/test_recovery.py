"""A drop-in that is killed is started again with its routes; one that is stopped, without."""

import contextlib
import json
import os
import signal
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.contract.harness import RunningProxy
from tests.contract.polling import eventually
from tests.contract.ports import is_free
from tests.contract.target import Connection, Target, answer
from tests.contract.wire import Response
from tests.system.dropin import Dropin, Watcher, dropin, kill_all


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Dropin]:
    with dropin(tmp_path) as place:
        yield place


@pytest.fixture
def target() -> Iterator[Target]:
    target = Target()
    yield target
    target.stop()


def written(place: Dropin, text: str) -> bool:
    return any(text in file.read_text() for file in place.files)


def watchers(place: Dropin) -> tuple[Watcher, Watcher]:
    public, api = (("127.0.0.1", port) for port in place.ports)
    both = (
        Watcher(public, "/user/alice/lab"),
        Watcher(api, "/api/routes", ("Authorization", f"token {place.token}")),
    )
    for each in both:
        each.start()
    return both


def table(response: Response) -> dict[str, dict[str, object]]:
    routes: dict[str, dict[str, object]] = json.loads(response.body)
    return routes


def test_the_first_answers_after_a_kill_have_every_route(place: Dropin, target: Target) -> None:
    first = place.start()
    first.add("/user/alice", target.url, user="alice", jupyterhub=True)
    first.add("/user/bob@lab", target.url, user="bob", jupyterhub=True)
    first.add("/gone", target.url)
    # What comes and goes between two writes is never in the file.
    assert eventually(lambda: written(place, "/gone"))
    first.remove("/gone")
    assert eventually(lambda: written(place, '{"delete":"/gone"}'))
    before = first.routes()
    kill_all(first)
    public, api = watchers(place)
    second = place.start()
    assert eventually(lambda: bool(public.answers and api.answers), 60)
    statuses = {response.status for response in public.stop()}
    answers = api.stop()
    assert statuses == {200}
    # Activity moved on with the watcher's requests; whoever did nothing has theirs from before.
    assert table(answers[0])["/user/bob@lab"] == before["/user/bob@lab"]
    for response in answers:
        assert set(table(response)) == {"/user/alice", "/user/bob@lab"}
    assert "recovered 2 routes left by the previous proxy" in second.output


def test_what_was_recovered_is_there_after_the_next_kill_too(place: Dropin, target: Target) -> None:
    first = place.start()
    first.add("/user/alice", target.url)
    first.add("/user/bob", target.url)
    assert eventually(lambda: written(place, "/user/bob"))
    kill_all(first)
    second = place.start()
    second.remove("/user/bob")
    second.add("/user/carol", target.url)
    assert eventually(lambda: written(place, "/user/carol"))
    kill_all(second)
    third = place.start()
    assert set(third.routes()) == {"/user/alice", "/user/carol"}
    assert third.get("/user/alice/x").status == 200


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_after_a_clean_stop_routes_are_gone(
    place: Dropin, target: Target, number: signal.Signals
) -> None:
    first = place.start()
    first.add("/user/alice", target.url)
    assert eventually(lambda: written(place, "/user/alice"))
    first.signal(number)
    assert first.wait() == 0
    assert place.files == []
    second = place.start()
    assert second.routes() == {}
    assert "recovered" not in second.output


@contextlib.contextmanager
def stalled(proxy: RunningProxy) -> Iterator[threading.Event]:
    """Have a request under way whose target answers only when the event is set."""
    go_on = threading.Event()

    def script(connection: Connection) -> None:
        connection.read_request()
        go_on.wait(60)
        connection.send(answer(200, b"at last"))

    target = Target(script)
    proxy.add("/slow", target.url)
    with proxy.connect() as client:
        client.start("/slow")
        assert target.wait_for(lambda: bool(target.requests))
        yield go_on
    go_on.set()
    target.stop()


def test_after_a_stop_that_was_cut_short_routes_are_gone(place: Dropin) -> None:
    first = place.start()
    with stalled(first):
        first.signal(signal.SIGTERM)
        assert eventually(lambda: "draining" in first.output)
        first.signal(signal.SIGTERM)
        assert first.wait() == 128 + signal.SIGTERM
    assert place.files == []


def test_a_proxy_that_drains_leaves_its_successors_file_alone(
    place: Dropin, target: Target
) -> None:
    place.environment = {"HUBGATE_DRAIN_TIMEOUT": "60"}
    first = place.start()
    with stalled(first) as go_on:
        first.signal(signal.SIGTERM)
        assert eventually(lambda: all(map(is_free, place.ports)))
        second = place.launch()
        assert eventually(lambda: "Proxy API at" in second.output, 60), second.output
        assert second.routes() == {}
        second.add("/user/alice", target.url)
        assert eventually(lambda: written(place, "/user/alice"))
        assert first.process.poll() is None
        go_on.set()
        assert first.wait() == 0
    assert written(place, "/user/alice")
    kill_all(second)
    assert set(place.start().routes()) == {"/user/alice"}


@pytest.mark.parametrize(
    ("harm", "routes", "line"),
    [
        (lambda content: content + content[-40:-5], {"/a", "/b"}, "recovered 2 routes"),
        (lambda content: content[:-5], {"/a"}, "recovered 1 route left"),
        (lambda content: content.replace(b"/a", b"/c"), set(), "is damaged"),
        (lambda content: b"", set(), "not used: "),
        (lambda content: os.urandom(4096), set(), "not used: "),
    ],
)
def test_no_harm_to_the_file_prevents_a_start(
    place: Dropin,
    target: Target,
    harm: Callable[[bytes], bytes],
    routes: set[str],
    line: str,
) -> None:
    first = place.start()
    first.add("/a", target.url)
    assert eventually(lambda: written(place, '"/a"'))
    first.add("/b", target.url)
    assert eventually(lambda: written(place, '"/b"'))
    kill_all(first)
    (file,) = place.files
    # The last line says when /b was active; the one that adds it is to be harmed.
    content, _, _ = file.read_bytes().rstrip().rpartition(b"\n")
    file.write_bytes(harm(content + b"\n"))
    second = place.start()
    assert set(second.routes()) == routes, second.output
    told = [each for each in second.output.splitlines() if "hubgate.recovery" in each]
    assert len(told) == 1
    assert line in told[0]


def test_a_folder_that_cannot_be_written_is_one_warning(place: Dropin, target: Target) -> None:
    place.state.touch()
    proxy = place.start()
    proxy.add("/a", target.url)
    assert proxy.get("/a").status == 200
    proxy.signal(signal.SIGTERM)
    assert proxy.wait() == 0
    (line,) = (each for each in proxy.output.splitlines() if "recovery" in each)
    assert "routes will not survive a crash" in line
    assert "warning" in line


def test_without_a_token_nothing_is_kept(place: Dropin, target: Target) -> None:
    place.token = ""
    proxy = place.start()
    proxy.add("/a", target.url)
    kill_all(proxy)
    assert place.files == []
    assert place.start().routes() == {}


def test_with_another_token_nothing_is_found(place: Dropin, target: Target) -> None:
    first = place.start()
    first.add("/a", target.url)
    assert eventually(lambda: written(place, '"/a"'))
    kill_all(first)
    place.token += "x"
    assert place.start().routes() == {}


def test_the_file_is_for_us_alone_and_does_not_tell_the_token(
    place: Dropin, target: Target
) -> None:
    proxy = place.start()
    proxy.add("/a", target.url)
    assert eventually(lambda: written(place, '"/a"'))
    (file,) = place.files
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert place.token not in file.name + file.read_text()
