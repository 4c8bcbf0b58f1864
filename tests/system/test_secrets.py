"""Tokens and passphrases stand in no log, no message, no repr, and no list of processes."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from hubgate.control.web.guard import Guard
from hubgate.model import ServerTLS, WorkerConfig
from hubgate.settings import Settings
from hubgate.settings.load import load
from hubgate.worker.messages import Start
from tests.certificates.made import Files, encrypt, make_files
from tests.contract.client import Client
from tests.contract.harness import RunningProxy, run_command
from tests.contract.polling import eventually
from tests.contract.target import Target
from tests.processes import workers_of
from tests.system.dropin import Dropin, dropin

TOKEN, PASSPHRASE, GUESS = "Tok3n-nobody-sees", "Passphr4se-nobody-sees", "Guess-n0body-sees"
SECRETS = (TOKEN, PASSPHRASE, GUESS)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return encrypt(make_files(tmp_path), PASSPHRASE)


@pytest.fixture
def proxy(tmp_path: Path, files: Files) -> Iterator[RunningProxy]:
    """A drop-in with every secret there is, told to say all it can."""
    secrets = {
        "CONFIGPROXY_SSL_KEY_PASSPHRASE": PASSPHRASE,
        "CONFIGPROXY_API_SSL_KEY_PASSPHRASE": PASSPHRASE,
        "PYTHONASYNCIODEBUG": "1",
    }
    with dropin(tmp_path) as place:
        place.token, place.environment = TOKEN, secrets
        yield start(place, files)


def start(place: Dropin, files: Files) -> RunningProxy:
    return place.start(
        *("--ssl-key", files.key, "--ssl-cert", files.cert),
        *("--api-ssl-key", files.key, "--api-ssl-cert", files.cert),
        *("--log-level", "debug", "--default-target", "http://127.0.0.1:9"),
    )


def everyone(proxy: RunningProxy) -> list[psutil.Process]:
    supervisor = psutil.Process(proxy.process.pid)
    return [supervisor, *supervisor.children(recursive=True)]


def use(proxy: RunningProxy, files: Files, target: Target) -> None:
    """Have the proxy log whatever it may log of a day's work, and of attacks."""
    context = ssl.create_default_context(cafile=files.ca)

    def ask(value: str, path: str, method: str = "GET", body: bytes | None = None) -> None:
        with Client(proxy.api, context, server_name="127.0.0.1") as client:
            client.ask(path, ("Authorization", value), method=method, body=body)

    good = f"token {TOKEN}"
    for secret in (good, f"Bearer {GUESS}", f"token {GUESS} {TOKEN}", GUESS, f"Basic {TOKEN}"):
        ask(secret, f"/api/routes?token={TOKEN}")
    ask(good, "/api/routes/a", "POST", b'{"target": "%b"}' % target.url.encode())
    ask(good, "/api/routes/b", "POST", b'{"token": "%b"' % TOKEN.encode())
    ask(good, "/api/routes/none", "DELETE")
    ask(good + "\0", "/api/routes")
    ask(good + "x" * 70000, "/api/routes")
    with Client(proxy.public, context, server_name="127.0.0.1") as client:
        client.ask("/a", ("Authorization", good))
        client.ask("/a", ("Authorization", good + "\0"))
    with Client(proxy.api) as client:  # plain, where TLS is spoken
        client.start("/api/routes", ("Authorization", good))


def test_nothing_the_proxy_says_or_shows_has_a_secret(proxy: RunningProxy, files: Files) -> None:
    target = Target()
    use(proxy, files, target)
    supervisor, *workers = everyone(proxy)
    assert workers
    shown = [" ".join(each.cmdline()) for each in (supervisor, *workers)]
    shown += [str(each.environ()) for each in workers]
    workers[0].kill()
    assert eventually(lambda: "replacing it" in proxy.output)
    # Until it runs a program of its own, a new process is its parent's image, environment and all.
    assert eventually(lambda: bool(workers_of(supervisor)))
    shown += [str(each.environ()) for each in workers_of(supervisor)]
    supervisor.terminate()
    proxy.wait()
    target.stop()
    assert "400, unreadable request" in proxy.output
    assert "403 GET /api/routes" in proxy.output
    for secret in SECRETS:
        assert not [text for text in (*shown, proxy.output) if secret in text]


@pytest.mark.parametrize(
    ("flags", "environ"),
    [
        ((), {"CONFIGPROXY_AUTH_TOKEN": f"two words {TOKEN}"}),
        ((), {"CONFIGPROXY_AUTH_TOKEN": f"{TOKEN}\u00e9"}),
        (("tls",), {"CONFIGPROXY_SSL_KEY_PASSPHRASE": GUESS, "CONFIGPROXY_AUTH_TOKEN": TOKEN}),
        (("--storage-backend", f"redis://hub:{TOKEN}@127.0.0.1/0"), {}),
    ],
)
def test_no_mistake_is_explained_with_a_secret(
    files: Files, flags: tuple[str, ...], environ: dict[str, str]
) -> None:
    if flags == ("tls",):
        flags = ("--ssl-key", files.key, "--ssl-cert", files.cert)
    done = run_command(
        "--log-level", "debug", "--port", "0", "--api-port", "0", *flags, env=environ
    )
    assert done.returncode == 1
    assert done.stderr.strip()
    assert not [secret for secret in SECRETS if secret in done.stdout + done.stderr]


def test_no_repr_has_a_secret(tmp_path: Path, files: Files) -> None:
    tls = ServerTLS(files.cert, files.key, passphrase=PASSPHRASE)
    settings = Settings(api_token=TOKEN, api_tls=tls, worker=WorkerConfig(tls=tls))
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "routes.yaml").write_text(
        f"listen: {{tls: {{cert: {files.cert}, key: {files.key}}}}}\napi: {{token_file: token}}\n"
    )
    read = load(tmp_path / "routes.yaml", {}, {"HUBGATE_TLS_PASSPHRASE": PASSPHRASE})
    assert (read.api_token, read.worker.tls and read.worker.tls.passphrase) == (TOKEN, PASSPHRASE)
    start = Start(settings.worker, (), 0, ())
    for value in (settings, read, settings.worker, tls, start, Guard(TOKEN)):
        shown = repr(value) + str(value) + f"{value}"
        assert not [secret for secret in SECRETS if secret in shown]
