"""What has changed between two readings of the settings, and what a reload takes over."""

from dataclasses import replace
from pathlib import Path

from hubgate.model import (
    AccessLogConfig,
    Address,
    ClientTLS,
    ForwardRules,
    Limits,
    Route,
    ServerTLS,
    Source,
    Timeouts,
    WorkerConfig,
)
from hubgate.settings import Settings
from hubgate.settings.changes import PINNED, changed, taken_over

PLAIN = Settings()
TLS = ServerTLS("hub.pem", "hub-key.pem")


def test_nothing_differs_from_itself() -> None:
    assert list(changed(PLAIN, Settings())) == []


def test_changes_have_the_names_of_the_file() -> None:
    worker = WorkerConfig(
        rules=ForwardRules(x_forward=False),
        timeouts=Timeouts(drain=1),
        tls=TLS,
        client_tls=ClientTLS(verify=False),
        redirect_to=443,
        access_log=AccessLogConfig("access.log"),
    )
    other = Settings(
        listen=(Address("127.0.0.1", 9000),),
        redirect=(Address("127.0.0.1", 9001),),
        api_tls=TLS,
        api_token="new",
        workers=2,
        worker=worker,
        file_routes=(Route("/", "http://127.0.0.1:9"),),
        log_level="debug",
    )
    assert list(changed(PLAIN, other)) == [
        "listen",
        "listen.redirect_port",
        "api.tls",
        "the API's token",
        "workers",
        "forward.x_forward",
        "timeouts.drain",
        "listen.tls",
        "upstream.tls.verify",
        "listen.redirect_to",
        "access_log",
        "routes",
        "log_level",
    ]


def test_a_part_of_tls_is_named() -> None:
    before = replace(PLAIN, worker=WorkerConfig(tls=TLS))
    after = replace(PLAIN, worker=WorkerConfig(tls=replace(TLS, cert="other.pem")))
    assert list(changed(before, after)) == ["listen.tls.cert"]


def test_routes_of_the_command_line_do_not_count() -> None:
    other = replace(PLAIN, initial_routes=(Route("/", "http://127.0.0.1:9"),))
    assert list(changed(PLAIN, other)) == []


# --- what a reload takes over ---

ROUTES = (Route("/", "http://127.0.0.1:9", source=Source.FILE),)


def test_what_a_worker_gets_is_taken_over() -> None:
    worker = WorkerConfig(
        rules=ForwardRules(x_forward=False, custom_headers=(("A", "b"),)),
        timeouts=Timeouts(drain=1),
        limits=Limits(head=9000),
        tls=TLS,
        client_tls=ClientTLS(verify=False),
        redirect_to=443,
        log_level="debug",
        access_log=AccessLogConfig("access.log"),
    )
    fresh = Settings(worker=worker, log_level="debug", file_routes=ROUTES)
    assert taken_over(PLAIN, fresh) == fresh
    assert taken_over(fresh, PLAIN) == PLAIN


def test_how_routes_were_entered_stays() -> None:
    rules = ForwardRules(host_routing=True, native_routes=True, change_origin=True)
    taken = taken_over(PLAIN, Settings(worker=WorkerConfig(rules=rules)))
    assert taken.worker.rules == ForwardRules(change_origin=True)


def test_what_needs_more_than_a_reload_stays() -> None:
    fresh = Settings(
        listen=(Address("127.0.0.1", 9000),),
        redirect=(Address("127.0.0.1", 9001),),
        api=(Address("127.0.0.1", 9002),),
        api_tls=TLS,
        metrics=(Address("127.0.0.1", 9003),),
        store="sqlite:other",
        recovery_file=Path("other"),
        workers=7,
        initial_routes=ROUTES,
        pid_file="other",
        config_file=Path("other"),
    )
    assert taken_over(PLAIN, fresh) == PLAIN
    assert taken_over(replace(PLAIN, api_tls=TLS), PLAIN).api_tls == TLS
    again = replace(TLS, cert="other.pem")
    assert taken_over(replace(PLAIN, api_tls=TLS), replace(PLAIN, api_tls=again)).api_tls == TLS


def test_an_api_with_a_token_is_never_left_without() -> None:
    guarded = replace(PLAIN, api_token="one", api_token_file=Path("token"))
    assert taken_over(guarded, PLAIN) == guarded
    from_environment = replace(PLAIN, api_token="two")
    assert taken_over(guarded, from_environment) == from_environment


def test_an_open_api_takes_a_token_but_gives_none_up() -> None:
    opened = replace(PLAIN, api_open=True)
    guarded = replace(PLAIN, api_token="one", api_token_file=Path("token"), api_hosts=("a",))
    assert taken_over(opened, guarded) == guarded
    assert taken_over(guarded, opened) == replace(guarded, api_hosts=())
    left = list(changed(taken_over(guarded, opened), opened))
    assert left == ["the API's token", "api.token_file", "api.open"]


def test_what_another_release_cannot_change() -> None:
    """Releases compare it by these names."""
    assert list(PINNED.items()) == [
        ("listen", "listen"),
        ("redirect", "listen.redirect_port"),
        ("api", "api"),
        ("metrics", "metrics"),
        ("health", "health"),
        ("store", "store"),
        ("replicas.name", "replicas.name"),
        ("recovery_file", "the recovery file"),
        ("pid_file", "pid_file"),
    ]
