"""`proxyctl certs`: what it makes, what it keeps, what it never overwrites."""

import os
import ssl
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from hubgate.cli import main
from hubgate.cli import run_command as run_command_module
from tests.certificates.made import make_dated, make_files
from tests.cli.running import PROXYCTL, run

Certs = Callable[..., list[str]]
NAMES = ["ca-key.pem", "ca.pem", "hub-key.pem", "hub.pem"]


@pytest.fixture
def certs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Certs:
    """Run `proxyctl certs` in an empty folder; returns what it printed, in lines."""
    monkeypatch.chdir(tmp_path)

    def certs(*args: str, code: int = 0) -> list[str]:
        assert (
            run_command_module.run(main.load(), ["certs", *args], "proxyctl", usage_exit=2) == code
        )
        printed = capsys.readouterr()
        assert bool(printed.err) == (code != 0)
        return (printed.err or printed.out).splitlines()

    return certs


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_it_makes_an_authority_and_a_certificate_for_this_machine(
    certs: Certs, tmp_path: Path
) -> None:
    made = certs()
    assert [line.split(",")[0] for line in made[:2]] == [
        "made certs/ca.pem",
        "made certs/hub.pem for localhost",
    ]
    assert made[2] == "try: proxyctl serve --tls-cert certs/hub.pem --tls-key certs/hub-key.pem"
    folder = tmp_path / "certs"
    assert sorted(os.listdir(folder)) == NAMES
    certificate = x509.load_pem_x509_certificate((folder / "hub.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "::1"]
    days = certificate.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=364) < days <= timedelta(days=365)


def test_keys_are_for_their_owner_alone(certs: Certs, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        certs()
        certs("--force")
    finally:
        os.umask(before)
    for name in ("ca-key.pem", "hub-key.pem"):
        assert stat.S_IMODE((tmp_path / "certs" / name).stat().st_mode) == 0o600


def test_the_strictest_reader_takes_them(certs: Certs, tmp_path: Path) -> None:
    certs("--host", "hub.example.org")
    client = ssl.create_default_context(cafile=str(tmp_path / "certs" / "ca.pem"))
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(tmp_path / "certs" / "hub.pem", tmp_path / "certs" / "hub-key.pem")
    shake_in_memory(client, server, "hub.example.org")
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        shake_in_memory(client, server, "other.example.org")


def shake_in_memory(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> None:
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(back, there, server_hostname=host),
        server.wrap_bio(there, back, server_side=True),
    ]
    for end in ends * 3:
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue


def test_hosts_days_and_folder_can_be_chosen(certs: Certs, tmp_path: Path) -> None:
    made = certs("--dir", "d/e", "--host", "*.example.org", "--host", "10.0.0.1", "--days", "3")
    assert "made d/e/hub.pem for *.example.org, 10.0.0.1, valid until" in made[1]
    assert sorted(os.listdir(tmp_path / "d" / "e")) == NAMES


def test_a_second_time_everything_is_kept(certs: Certs, tmp_path: Path) -> None:
    certs()
    before = contents(tmp_path / "certs")
    (line,) = certs()
    assert line.startswith("kept certs/hub.pem for localhost, 127.0.0.1, ::1, valid until ")
    assert line.endswith("; --force makes a new one")
    assert contents(tmp_path / "certs") == before


def test_force_replaces_the_certificate_and_keeps_the_authority(
    certs: Certs, tmp_path: Path
) -> None:
    certs()
    before = contents(tmp_path / "certs")
    assert certs("--force")[0].startswith("kept certs/ca.pem, valid until ")
    after = contents(tmp_path / "certs")
    assert sorted(after) == NAMES
    assert [name for name in NAMES if after[name] == before[name]] == ["ca-key.pem", "ca.pem"]


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        ("rm hub.pem", "certs/hub-key.pem: exists without its other half; --force makes both"),
        ("rm hub-key.pem", "certs/hub.pem: exists without its other half; --force makes both"),
        ("rm ca-key.pem", "certs/ca.pem: exists without its other half; --force makes both"),
        ("rm ca.pem ca-key.pem", "certs/hub.pem: exists, but is not from this CA; --force makes"),
        ("cp hub.pem ca.pem", "certs/ca-key.pem: is not the key of certs/ca.pem; --force makes"),
        ("cp other.pem hub.pem", "certs/hub-key.pem: is not the key of certs/hub.pem; --force"),
        ("cp other-key.pem hub.pem", "certs/hub.pem: cannot be read; --force replaces it"),
        (
            "cp other.pem hub.pem; cp other-key.pem hub-key.pem",
            "certs/hub.pem: exists, but is not from this CA; --force makes a new one",
        ),
        (
            "cp other.pem ca.pem; cp other-key.pem ca-key.pem",
            "certs/ca.pem: is not a certificate authority; --force makes a new CA",
        ),
    ],
)
def test_what_is_there_and_odd_is_not_touched_without_force(
    certs: Certs, tmp_path: Path, spoil: str, line: str
) -> None:
    certs()
    folder = tmp_path / "certs"
    make_files(folder, "other")
    for step in spoil.split("; "):
        command, *names = step.split()
        if command == "rm":
            for name in names:
                (folder / name).unlink()
        else:
            (folder / names[1]).write_bytes((folder / names[0]).read_bytes())
    before = contents(folder)
    (said,) = certs(code=1)
    assert said.startswith(f"proxyctl: {line}")
    assert contents(folder) == before
    certs("--force")
    (kept,) = certs()
    assert kept.startswith("kept certs/hub.pem")


def test_a_certificate_for_other_hosts_is_not_touched(certs: Certs) -> None:
    certs()
    (line,) = certs("--host", "hub.example.org", "--host", "localhost", code=1)
    assert line == (
        "proxyctl: certs/hub.pem: exists, but is not for hub.example.org; --force makes a new one"
    )


def test_an_authority_that_ends_too_soon_is_not_used(certs: Certs) -> None:
    certs()
    (line,) = certs("--days", "3650", code=1)
    assert "certs/ca.pem: valid until " in line
    assert line.endswith(", short of --days 3650; --force makes a new CA")


def test_an_expired_authority_is_not_used(certs: Certs, tmp_path: Path) -> None:
    old = make_dated(tmp_path, timedelta(days=-2), timedelta(days=-1))
    (tmp_path / "certs").mkdir()
    for name, path in (("ca.pem", old.cert), ("ca-key.pem", old.key)):
        (tmp_path / "certs" / name).write_bytes(Path(path).read_bytes())
    assert certs(code=1)


def test_a_link_in_the_way_is_not_followed(certs: Certs, tmp_path: Path) -> None:
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "hub-key.pem").symlink_to(tmp_path / "elsewhere")
    (line,) = certs(code=1)
    assert line == "proxyctl: certs/hub-key.pem: already exists; --force replaces it"
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("host", ["a b", "", "1.2.3", "http://a", "*.*.a"])
def test_a_bad_host_is_a_mistake(certs: Certs, tmp_path: Path, host: str) -> None:
    (line,) = certs("--host", host, code=1)
    assert line.startswith("proxyctl: --host: ")
    assert not (tmp_path / "certs").exists()


def test_a_folder_that_cannot_be_made_is_a_mistake(certs: Certs, tmp_path: Path) -> None:
    (tmp_path / "certs").write_text("a file")
    (line,) = certs(code=1)
    assert line == "proxyctl: certs: cannot be created as a folder: File exists"


def test_serve_takes_what_certs_makes(tmp_path: Path) -> None:
    assert run(PROXYCTL, "certs", cwd=tmp_path).returncode == 0
    flags = ("--tls-cert", "certs/hub.pem", "--tls-key", "certs/hub-key.pem")
    said = run(PROXYCTL, "check", *flags, cwd=tmp_path)
    assert said.stdout.startswith("proxy    https://*:8000")
