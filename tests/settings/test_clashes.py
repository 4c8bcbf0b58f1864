"""One place for two purposes: two of our own listeners, two of our own files."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from hubgate.model import AccessLogConfig, Address, ClientTLS, ServerTLS, WorkerConfig
from hubgate.settings import Settings
from hubgate.settings.clashes import clashes


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Address("127.0.0.1", 1), Address("127.0.0.1", 1)),
        (Address("", 1), Address("127.0.0.1", 1)),
        (Address("localhost", 1), Address("127.0.0.1", 1)),
        (Address("::", 1), Address("10.0.0.1", 1)),
    ],
)
def test_the_same_place_twice(one: Address, other: Address) -> None:
    (line,) = clashes(Settings(listen=(one,), api=(other,)))
    assert line.startswith(f"api.port: {other} is taken by listen.port; give one of them another")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Address("127.0.0.1", 1), Address("127.0.0.1", 2)),
        (Address("127.0.0.1", 1), Address("127.0.0.2", 1)),
        (Address("127.0.0.1", 0), Address("127.0.0.1", 0)),
        (Address(path="/a"), Address(path="/b")),
        (Address(path="/a"), Address("", 1)),
    ],
)
def test_different_places(one: Address, other: Address) -> None:
    assert clashes(Settings(listen=(one,), api=(other,))) == []


def test_listeners_go_by_the_callers_names() -> None:
    settings = Settings(metrics=(Address("127.0.0.1", 8000),))
    names = {("metrics", "port"): "routes.yaml, line 3: metrics.port", ("listen", "port"): "--port"}
    assert clashes(settings, names.__getitem__) == [
        "routes.yaml, line 3: metrics.port: 127.0.0.1:8000 is taken by --port;"
        " give one of them another port"
    ]


WRITTEN = {
    "listen.socket": lambda path: Settings(listen=(Address(path=path),)),
    "api.socket": lambda path: Settings(api=(Address(path=path),)),
    "metrics.socket": lambda path: Settings(metrics=(Address(path=path),)),
    "store": lambda path: Settings(store=f"sqlite:{path}"),
    "access_log.path": lambda path: Settings(worker=WorkerConfig(access_log=AccessLogConfig(path))),
    "pid_file": lambda path: Settings(pid_file=path),
}
READ = {
    "the file of settings": lambda path: Settings(config_file=Path(path)),
    "api.token_file": lambda path: Settings(api_token_file=Path(path)),
    "listen.tls.key": lambda path: Settings(worker=WorkerConfig(tls=ServerTLS("x", path))),
    "api.tls.ca": lambda path: Settings(api_tls=ServerTLS("x", "y", ca=path)),
    "upstream.tls.cert": lambda path: Settings(
        worker=WorkerConfig(client_tls=ClientTLS(cert=path, key="y"))
    ),
}


def both(one: Settings, other: Settings) -> Settings:
    """Return `one` with all that `other` says."""
    plain = Settings()
    said = {
        name: getattr(other, name)
        for name in Settings.__dataclass_fields__
        if getattr(other, name) != getattr(plain, name)
    }
    if "worker" in said:
        worker = one.worker
        if other.worker.tls:
            worker = replace(worker, tls=other.worker.tls)
        if other.worker.access_log:
            worker = replace(worker, access_log=other.worker.access_log)
        if other.worker.client_tls.cert:
            worker = replace(worker, client_tls=other.worker.client_tls)
        said["worker"] = worker
    return replace(one, **said)


def ways(folder: Path) -> list[tuple[str, str]]:
    """Return two ways to write the path of one file, more than once."""
    file, link, hard = folder / "file", folder / "link", folder / "hard"
    file.touch()
    link.symlink_to("file")
    os.link(file, hard)
    (folder / "way").symlink_to(folder)
    return [
        (str(file), str(file)),
        (str(file), f"{folder}/./file"),
        (f"{folder}//file", str(file)),
        (str(file), str(link)),
        (str(file), str(hard)),
        (f"{folder}/way/none", f"{folder}/none"),
        ("file", str(file)),
    ]


@pytest.mark.parametrize("name", WRITTEN)
def test_a_file_that_is_written_has_one_purpose(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    pairs = ways(tmp_path)
    before = list(WRITTEN)[: list(WRITTEN).index(name)]
    for other in [*before, *READ]:
        for one_path, other_path in pairs:
            settings = both(WRITTEN[name](one_path), ({**WRITTEN, **READ})[other](other_path))
            line = f"{name}: {one_path} is in use as {other}; give one of them another path"
            assert clashes(settings) == [line]
        settings = both(WRITTEN[name](f"{tmp_path}/a"), ({**WRITTEN, **READ})[other]("/b"))
        assert clashes(settings) == []


def test_what_sqlite_keeps_beside_a_store_is_the_stores_too() -> None:
    (line,) = clashes(Settings(store="sqlite:/a/r.db", pid_file="/a/r.db-wal"))
    assert line.startswith("pid_file: /a/r.db-wal is in use as store;")


def test_files_that_are_only_read_and_devices_may_have_several() -> None:
    tls = ServerTLS("/a.pem", "/a.pem", ca="/a.pem")
    log = AccessLogConfig("/dev/null")
    settings = Settings(
        worker=WorkerConfig(tls=tls, access_log=log), api_tls=tls, config_file=Path("/dev/null")
    )
    assert clashes(settings) == []
    assert clashes(replace(settings, pid_file="/\0")) == []
