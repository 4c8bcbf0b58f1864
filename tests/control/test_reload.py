from dataclasses import replace
from pathlib import Path

from proxy.control.reload import certificate_files, changed, watched_files
from proxy.model import Address, ClientTLS, ForwardRules, Route, ServerTLS, Timeouts, WorkerConfig
from proxy.settings import Settings

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
    )
    other = Settings(
        listen=(Address("127.0.0.1", 9000),),
        redirect=(Address("127.0.0.1", 9001),),
        api_tls=TLS,
        api_token="new",
        workers=2,
        worker=worker,
        fixed_routes=(Route("/", "http://127.0.0.1:9"),),
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


def test_every_file_of_the_settings_is_watched_once() -> None:
    settings = replace(
        PLAIN,
        config_file=Path("routes.yaml"),
        worker=WorkerConfig(tls=TLS, client_tls=ClientTLS(ca="hub-ca.pem")),
        api_tls=replace(TLS, ca="ca.pem"),
    )
    files = [Path(name) for name in ("hub.pem", "hub-key.pem", "ca.pem", "hub-ca.pem")]
    assert certificate_files(settings) == files
    assert watched_files(settings) == [Path("routes.yaml"), *files]
    assert watched_files(PLAIN) == []
