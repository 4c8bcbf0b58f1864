"""A file of routes is made for one user, recognised, and held by one process."""

import contextlib
import grp
import os
import pwd
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubgate.errors import StoreError, StoreInUseError, StoreUnavailableError
from hubgate.model import Route
from hubgate.store import sqlite, sqlite_file
from hubgate.store.sqlite import SqliteStore
from hubgate.store.sqlite_errors import store_error
from hubgate.store.sqlite_file import SCHEMA_VERSION, open_file
from hubgate.tasks import spawn
from tests.control.waiting import until
from tests.store.holder import as_ordinary_user, end, held, opening, said, tell

TARGET = "http://127.0.0.1:9001"


async def refusal(path: Path) -> StoreError:
    """Open and read the file, which must fail; return why."""
    store = SqliteStore(str(path))

    async def read() -> None:
        await store.open()
        await store.load()

    try:
        with pytest.raises(StoreError) as caught:
            await read()
    finally:
        await store.close()
    text = str(caught.value)
    assert text.startswith(f"store: {path}")
    assert "\n" not in text
    return caught.value


async def make(path: Path, routes: int = 1) -> None:
    """Leave a file with some routes."""
    store = SqliteStore(str(path))
    await store.open()
    for number in range(routes):
        await store.put(Route(f"/user/{number}", TARGET, {"target": TARGET, "more": "x" * 200}))
    await store.close()


def alter(path: Path, statement: str) -> None:
    """Change a file behind hubgate's back."""
    with contextlib.closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


@pytest.fixture
def open_umask() -> Iterator[None]:
    """The umask of a careless service file."""
    before = os.umask(0)
    yield
    os.umask(before)


# --- making ---


@pytest.mark.usefixtures("open_umask")
async def test_the_file_and_its_folders_are_for_their_user_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "state" / "routes.db"
    store = SqliteStore(str(path))
    await store.open()
    await store.put(Route("/a", TARGET, {"target": TARGET}))
    made = {each: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
    assert path in made
    assert len(made) > 1  # the journal beside it
    assert set(made.values()) == {0o600}
    for folder in (path.parent, path.parent.parent):
        assert folder.stat().st_mode & 0o777 == 0o700
    await store.close()
    assert list(path.parent.iterdir()) == [path]


async def test_an_empty_file_is_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "routes.db"
    path.touch()
    await make(path)
    with contextlib.closing(open_file(path)) as connection:
        assert connection.execute("SELECT count(*) FROM routes").fetchone() == (1,)


def test_a_change_is_synced_when_it_returns_and_nobody_else_gets_in(tmp_path: Path) -> None:
    for _ in ("new", "reopened"):
        with contextlib.closing(open_file(tmp_path / "routes.db")) as connection:
            found = [
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("journal_mode", "synchronous", "locking_mode", "user_version")
            ]
        assert found == ["wal", 2, "exclusive", SCHEMA_VERSION]


# --- one process at a time ---


async def test_a_file_in_use_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "LOCK_TIMEOUT", 0.3)
    path = tmp_path / "routes.db"
    with held(path):
        error = await refusal(path)
    assert isinstance(error, StoreInUseError)
    assert "in use by another process" in str(error)


async def test_a_file_is_taken_over_as_soon_as_it_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "routes.db"
    with held(path) as holder:
        store = SqliteStore(str(path))
        opened = spawn(store.open(), "open")
        await until(lambda: "waiting" in repr(store))
        end(holder)
        await opened
    await store.close()


async def test_a_killed_holder_leaves_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "routes.db"
    with held(path) as holder:
        holder.kill()
        holder.wait()
    monkeypatch.setattr(sqlite, "LOCK_TIMEOUT", 0.0)
    await make(path)


def test_of_many_that_start_on_a_new_file_one_has_it(tmp_path: Path) -> None:
    processes = [opening(tmp_path / "routes.db", when_told=True) for _ in range(6)]
    try:
        assert [said(process) for process in processes] == ["ready"] * 6
        for process in processes:
            tell(process)
        verdicts = [said(process) for process in processes]
    finally:
        for process in processes:
            end(process)
    assert verdicts.count("open") == 1
    assert all("in use" in verdict for verdict in verdicts if verdict != "open")


# --- files that are not ours, or broken ---


@pytest.mark.parametrize("content", [b"hello", b"\0" * 5000, b"SQLite format 3\0" + b"?" * 5000])
async def test_a_file_that_is_no_database_is_refused_and_kept(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "routes.db"
    path.write_bytes(content)
    assert "is not an SQLite database" in str(await refusal(path))
    assert path.read_bytes() == content


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
async def test_another_programs_database_is_refused_and_kept(journal: str, tmp_path: Path) -> None:
    path = tmp_path / "jupyterhub.sqlite"
    alter(path, f"PRAGMA journal_mode = {journal}")
    alter(path, "CREATE TABLE users (name TEXT)")
    before = path.read_bytes()
    assert "another program's database" in str(await refusal(path))
    assert path.read_bytes() == before


async def test_a_newer_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "routes.db"
    await make(path)
    alter(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    assert f"a newer hubgate (its format is {SCHEMA_VERSION + 1}" in str(await refusal(path))


async def test_damaged_pages_are_noticed_at_the_start(tmp_path: Path) -> None:
    path = tmp_path / "routes.db"
    await make(path, 200)
    content = bytearray(path.read_bytes())
    for page in range(4096 * 3, len(content), 4096):
        content[page : page + 64] = b"\xff" * 64
    path.write_bytes(content)
    assert "is damaged" in str(await refusal(path))


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE routes SET data = '{'",
        "UPDATE routes SET data = x'ff'",
        "UPDATE routes SET key = x'61'",
        "UPDATE routes SET options = '{}'",
    ],
)
async def test_a_damaged_row_is_named(change: str, tmp_path: Path) -> None:
    path = tmp_path / "routes.db"
    await make(path)
    alter(path, change)
    error = await refusal(path)
    assert "is damaged (route " in str(error)
    assert error.status == 500


# --- places that cannot be written to ---


async def test_what_is_no_file_is_one_line(tmp_path: Path) -> None:
    assert "Is a directory" in str(await refusal(tmp_path))
    assert "not a regular file" in str(await refusal(Path("/dev/null")))
    (tmp_path / "file").touch()
    assert "Not a directory" in str(await refusal(tmp_path / "file" / "routes.db"))


@pytest.mark.skipif(
    os.geteuid() == 0 and shutil.which("setpriv") is None, reason="root may write anywhere"
)
@pytest.mark.parametrize("existing", [False, True])
async def test_a_read_only_place_is_one_line(existing: bool, tmp_path: Path) -> None:
    path = tmp_path / "state" / "routes.db"
    await make(path)
    if not existing:
        path.unlink()
    path.parent.chmod(0o500)
    process = opening(path, wrapper=as_ordinary_user())
    verdict = said(process)
    end(process)
    path.parent.chmod(0o700)
    assert verdict.startswith(f"store: {path}")
    assert ("is read-only" if existing else "Permission denied") in verdict


def test_a_full_disk_is_called_that() -> None:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.execute("PRAGMA max_page_count = 3")
        with pytest.raises(sqlite3.OperationalError) as caught:
            connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    error = store_error(Path("routes.db"), caught.value)
    assert isinstance(error, StoreUnavailableError)
    assert error.status == 503
    assert str(error) == "store: routes.db cannot grow: the disk is full; free some space"


# --- who else can change it --------------------------------------------------------------------


async def warned_of(path: Path, caplog: pytest.LogCaptureFixture) -> list[str]:
    """Open and close the store; return the names that its warning ends with."""
    caplog.clear()
    store = SqliteStore(str(path))
    await store.open()
    await store.close()
    lines = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert len(lines) <= 1
    return lines[0].partition("chmod go-w ")[2].split() if lines else []


async def test_a_file_of_ours_alone_is_used_without_a_word(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state" / "routes.db"
    assert await warned_of(path, caplog) == []
    path.chmod(0o644)
    path.parent.chmod(0o755)
    assert await warned_of(path, caplog) == []


@pytest.mark.parametrize("mode", [0o002, 0o1002, 0o020])
async def test_a_folder_that_others_can_write_to_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One with the sticky bit too: a journal for the file can be put into it."""
    monkeypatch.setattr(sqlite_file, "_is_our_own", lambda gid: False)
    path = tmp_path / "state" / "routes.db"
    await warned_of(path, caplog)
    path.parent.chmod(0o755 | mode)
    assert await warned_of(path, caplog) == [str(path.parent)]


@pytest.mark.parametrize("end", ["", "-journal"])
async def test_a_file_that_others_can_write_to_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, end: str
) -> None:
    path = tmp_path / "state" / "routes.db"
    await warned_of(path, caplog)
    exposed = path.with_name(path.name + end)
    exposed.touch()
    exposed.chmod(0o666)
    assert str(exposed) in await warned_of(path, caplog)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
async def test_a_file_of_another_user_is_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state" / "routes.db"
    await warned_of(path, caplog)
    os.chown(path, 65534, -1)
    assert await warned_of(path, caplog) == [str(path)]
    os.chown(path, 0, -1)
    os.chown(path.parent, 65534, -1)
    assert str(path.parent) in await warned_of(path, caplog)


async def test_the_group_of_one_user_is_nobody_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state" / "routes.db"
    await warned_of(path, caplog)
    os.chown(path, -1, pwd.getpwuid(os.geteuid()).pw_gid)
    path.chmod(0o660)
    own = grp.getgrgid(path.stat().st_gid).gr_name == pwd.getpwuid(os.geteuid()).pw_name
    assert await warned_of(path, caplog) == ([] if own else [str(path)])
