"""A certificate and its key on disk; what `proxyctl certs` says of them is tested with it."""

import stat
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest

from hubgate.certificates.authority import make_authority, make_server
from hubgate.certificates.pair_files import (
    PairFiles,
    existing_authority,
    existing_server,
    read_pair,
    write_pair,
)
from hubgate.errors import ConfigError
from tests.certificates.made import make_dated

HOSTS = ("localhost", "127.0.0.1")


@pytest.fixture
def files(tmp_path: Path) -> PairFiles:
    return PairFiles(tmp_path / "new" / "a.pem", tmp_path / "new" / "a-key.pem")


def test_what_is_written_is_read(files: PairFiles) -> None:
    assert read_pair(files) is None
    pair = make_authority()
    write_pair(files, pair, force=False)
    found = read_pair(files)
    assert found is not None
    assert (found.certificate, found.key_pem()) == (pair.certificate, pair.key_pem())
    assert stat.S_IMODE(files.key.stat().st_mode) == 0o600


def test_nothing_is_replaced_without_force(files: PairFiles) -> None:
    first, second = make_authority(), make_authority()
    write_pair(files, first, force=False)
    before = files.key.read_bytes(), files.cert.read_bytes()
    with pytest.raises(ConfigError, match="already exists; --force replaces it"):
        write_pair(files, second, force=False)
    assert (files.key.read_bytes(), files.cert.read_bytes()) == before
    write_pair(files, second, force=True)
    assert files.cert.read_bytes() == second.certificate_pem()
    assert sorted(path.name for path in files.cert.parent.iterdir()) == ["a-key.pem", "a.pem"]


def test_an_authority_that_will_not_do_is_a_mistake_or_none(tmp_path: Path) -> None:
    made = make_dated(tmp_path, timedelta(days=-2), timedelta(days=-1))
    files = PairFiles(Path(made.cert), Path(made.key))
    with pytest.raises(ConfigError):
        existing_authority(files, 1, force=False)
    assert existing_authority(files, 1, force=True) is None


def test_what_was_made_while_the_clock_was_ahead_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Ahead":
            return super().now(tz) + timedelta(days=2)

    pairs = {name: PairFiles(tmp_path / name, tmp_path / f"{name}-key") for name in ("ca", "hub")}
    with monkeypatch.context() as patched:
        patched.setattr("hubgate.certificates.authority.datetime", Ahead)
        authority = make_authority()
        server = make_server(authority, HOSTS, days=30)
    write_pair(pairs["ca"], authority, force=False)
    write_pair(pairs["hub"], server, force=False)
    with pytest.raises(ConfigError, match=r"ca: is not valid before .*; --force makes a new CA"):
        existing_authority(pairs["ca"], 1, force=False)
    with pytest.raises(ConfigError, match=r"hub: is not valid before .*; --force makes a new one"):
        existing_server(pairs["hub"], authority, HOSTS)


def test_a_server_is_kept_for_hosts_it_has_of_the_authority_that_signed_it(
    files: PairFiles,
) -> None:
    authority = make_authority()
    assert existing_server(files, authority, HOSTS) is None
    write_pair(files, make_server(authority, HOSTS, 30), force=False)
    assert existing_server(files, authority, HOSTS[:1]) is not None
    with pytest.raises(ConfigError, match="not from this CA"):
        existing_server(files, make_authority(), HOSTS)
    with pytest.raises(ConfigError, match=r"not for hub\.example\.org; "):
        existing_server(files, authority, ("hub.example.org", *HOSTS))
