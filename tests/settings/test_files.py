"""Which files a running hubgate has to look at."""

from dataclasses import replace
from pathlib import Path

from hubgate.model import ClientTLS, ServerTLS, WorkerConfig
from hubgate.settings import Settings
from hubgate.settings.files import certificate_files, watched_files

PLAIN = Settings()
TLS = ServerTLS("hub.pem", "hub-key.pem")


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
