"""What `proxyctl check` prints."""

from hubgate.cli.summary import summary
from hubgate.model import AccessLogConfig, Address, Route, WorkerConfig
from hubgate.settings import Settings


def test_a_stores_password_is_not_shown() -> None:
    lines = list(summary(Settings(store="redis://:hunter2@h:1/0")))
    assert "store    redis://h:1/0?prefix=hubgate" in lines


def test_an_access_log_is_named() -> None:
    lines = list(
        summary(Settings(worker=WorkerConfig(access_log=AccessLogConfig("/a.log", "json"))))
    )
    assert "requests /a.log, as json" in lines


def test_port_0_is_a_free_port() -> None:
    lines = list(summary(Settings(listen=(Address("127.0.0.1", 0),))))
    assert lines[0].startswith("proxy    http://127.0.0.1 (a free port), ")


def test_of_many_routes_the_first_are_shown() -> None:
    routes = tuple(Route(f"/{number}", "http://a") for number in range(25))
    lines = list(summary(Settings(file_routes=routes)))
    assert "routes   25 in the file" in lines
    assert lines[-2:] == ["         /19 -> http://a", "         and 5 more"]
