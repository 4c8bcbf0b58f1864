"""What is wrong with a Redis is one line of `proxyctl check` and of a start, and a way out."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.certificates.made import make_files
from tests.cli.running import PROXYCTL, TOKEN, run, running
from tests.contract.polling import eventually
from tests.contract.ports import free_port
from tests.redis_server import RedisServer, redis_server

pytestmark = pytest.mark.processes

SENTINEL = shutil.which("redis-sentinel") or shutil.which("valkey-sentinel")
PORTS = ("--port", "0", "--api-port", "0")
WITHOUT_REDIS = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "redis":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from hubgate.cli.main import main
main()
"""


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    with redis_server(tmp_path / "redis") as server:
        yield server


def check(store: str, env: Mapping[str, str] | None = None, *flags: str) -> tuple[int, list[str]]:
    """Check this store; return the exit code and what was complained of."""
    done = run(PROXYCTL, "check", *PORTS, "--store", store, *flags, env={**TOKEN, **(env or {})})
    return done.returncode, done.stderr.splitlines()


def refused(store: str, env: Mapping[str, str] | None = None) -> str:
    """Return the one mistake, which a start has in the same words."""
    code, lines = check(store, env)
    assert (code, len(lines)) == (1, 1), lines
    return lines[0].removeprefix("error: --store: ")


def test_a_good_one_is_left_as_it_was(redis: RedisServer) -> None:
    assert check(redis.url) == (0, [])
    assert redis.ask("KEYS *") == b"*0\r\n"


def test_one_that_is_not_there() -> None:
    port = free_port()
    line = refused(f"redis://127.0.0.1:{port}")
    assert line.startswith(
        f"redis://127.0.0.1:{port}/0?prefix=hubgate is away: Connection refused;"
    )
    assert "start it, or correct the address" in line


def test_passwords(redis: RedisServer) -> None:
    redis.ask("CONFIG SET requirepass s3cret-of-redis")
    line = refused(redis.url)
    assert line.endswith(
        "needs a password; set HUBGATE_REDIS_PASSWORD, or redis: {password_file: FILE}"
    )
    line = refused(redis.url, {"HUBGATE_REDIS_PASSWORD": "wr0ng"})
    assert "refuses us: invalid username-password pair" in line
    assert "check its password and ACL" in line
    assert "wr0ng" not in line
    assert check(redis.url, {"HUBGATE_REDIS_PASSWORD": "s3cret-of-redis"}) == (0, [])
    done = run(PROXYCTL, "serve", *PORTS, "--store", redis.url, env=TOKEN)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "needs a password" in done.stderr


def test_a_password_file_that_is_not_there(redis: RedisServer, tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text(
        f"listen: {{port: 0}}\napi: {{port: 0}}\nstore: {redis.url}\n"
        "redis: {password_file: redis.password}\n"
    )
    done = run(PROXYCTL, "check", cwd=tmp_path, env=TOKEN)
    assert done.returncode == 1
    assert done.stderr == (
        "error: routes.yaml, line 4: redis.password_file: the password for Redis cannot be read:"
        f" {tmp_path}/redis.password: No such file or directory\n"
    )


NOT_A_PASSWORD = [
    ("\n", "it is empty"),
    ("# of hub-a\ns3cret\n", "it has more than one line; keep that of the password"),
]


@pytest.mark.parametrize(("content", "wrong"), NOT_A_PASSWORD)
def test_a_password_file_without_one(
    redis: RedisServer, tmp_path: Path, content: str, wrong: str
) -> None:
    redis.ask("CONFIG SET requirepass s3cret")
    file = tmp_path / "redis.password"
    (tmp_path / "routes.yaml").write_text(
        f"store: {redis.url}\nredis: {{password_file: {file.name}}}\n"
    )
    line = "routes.yaml, line 2: redis.password_file: the password for Redis is not in"
    line += f" {file}: {wrong}"
    for text, said in ((content, f"error: {line}\n"), (" s3cret\n\n", "")):
        file.write_text(text)
        assert run(PROXYCTL, "check", *PORTS, cwd=tmp_path, env=TOKEN).stderr == said


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ("~hub:* +@all -@scripting", "'script|load'"),
        ("~hub:* +@all -evalsha", "'evalsha'"),
        ("~hub:* +@all -xadd", "XADD"),
        ("~hub:* +@all -del", "DEL"),
        ("~hub:* +@all -pexpire", "'pexpire'"),
        ("~hub:* +@all -multi", "'multi'"),
        ("~hub:* +@all -exec", "'exec'"),
        ("~hub:* +@all -script|load", "'script|load'"),
        ("~other:* +@all", "keys"),
    ],
)
def test_a_right_that_is_missing_leaves_nothing(
    redis: RedisServer, rules: str, reason: str
) -> None:
    redis.ask(f"ACL SETUSER hubgate on >secret {rules}")
    url = redis.url.replace("//", "//hubgate@") + "?prefix=hub"
    redis.ask("SCRIPT FLUSH")
    assert check(redis.url + "?prefix=hub") == (0, [])  # it knows the script
    line = refused(url, {"HUBGATE_REDIS_PASSWORD": "secret"})
    assert "refuses us: " in line
    assert reason in line
    assert "user_script" not in line
    assert redis.ask("KEYS *") == b"*0\r\n"


def test_certificates(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    files, port = make_files(tmp_path), free_port()
    others = make_files(tmp_path / "other", "other")
    flags = ("--tls-port", str(port), "--tls-auth-clients", "no")
    pair = ("--tls-cert-file", files.cert, "--tls-key-file", files.key)
    with redis_server(tmp_path / "redis", *flags, *map(str, pair), "--tls-ca-cert-file", files.ca):
        url = f"rediss://127.0.0.1:{port}"
        line = refused(url)
        assert "its certificate is not trusted: " in line
        assert "redis: {ca: FILE}" in line
        for ca, wrong in ((others.ca, "its certificate is not trusted"), (files.ca, None)):
            (tmp_path / "routes.yaml").write_text(f"store: {url}\nredis: {{ca: {ca}}}\n")
            done = run(PROXYCTL, "check", *PORTS, cwd=tmp_path, env=TOKEN)
            assert done.returncode == (1 if wrong else 0), done.stderr
            assert (wrong or "") in done.stderr
        (tmp_path / "routes.yaml").write_text(f"store: {url}\nredis: {{ca: none.pem}}\n")
        done = run(PROXYCTL, "check", *PORTS, cwd=tmp_path, env=TOKEN)
        assert done.stderr.startswith("error: routes.yaml, line 2: redis.ca: ")
        assert done.stderr.endswith("none.pem: No such file or directory\n")
        assert "is a Redis with TLS; write rediss://" in refused(f"redis://127.0.0.1:{port}")


def test_every_file_that_is_missing_is_named_where_it_stands(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text(
        "store: redis://127.0.0.1:1\n"
        "redis:\n  password_file: a\n  sentinel_password_file: b\n  ca: c\n"
    )
    for command in ("check", "serve"):
        done = run(PROXYCTL, command, *PORTS, cwd=tmp_path, env=TOKEN)
        assert done.returncode == 1
        places = [line.partition("routes.yaml, ")[2] for line in done.stderr.splitlines()]
        names = ("password_file", "sentinel_password_file", "ca")
        assert [place.split(": ")[:2] for place in places] == [
            [f"line {number}", f"redis.{name}"] for number, name in enumerate(names, 3)
        ]


def test_a_start_does_not_wait_where_waiting_does_not_help(redis: RedisServer) -> None:
    args = ("serve", *PORTS, "--store", f"rediss://127.0.0.1:{redis.port}")
    done = run(PROXYCTL, *args, env=TOKEN)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"is a Redis without TLS; give its port with TLS, or write {redis.url}" in done.stderr


@contextmanager
def sentinel(folder: Path, master: int) -> Iterator[int]:
    """Run a sentinel that watches what may be at that port; yields its own."""
    port = free_port()
    config = folder / "sentinel.conf"
    config.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor hub 127.0.0.1 {master} 1\n"
        "sentinel down-after-milliseconds hub 200\n"
    )
    assert SENTINEL is not None
    process = subprocess.Popen([SENTINEL, str(config)], stdout=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.kill()
        process.wait()


@pytest.mark.skipif(SENTINEL is None, reason="needs redis-sentinel (make test installs it)")
def test_sentinels(redis: RedisServer, tmp_path: Path) -> None:
    gone = free_port()
    assert "is away: none of its sentinels responds; start it" in refused(
        f"redis+sentinel://127.0.0.1:{gone}/hub/0"
    )
    with sentinel(tmp_path, redis.port) as port:
        url = f"redis+sentinel://127.0.0.1:{gone},127.0.0.1:{port}"
        assert eventually(lambda: check(f"{url}/hub/0") == (0, []), 60)
        assert "its sentinels know no master 'nobody' that serves; check the name" in refused(
            f"{url}/nobody/0"
        )
        for content, wrong in NOT_A_PASSWORD:
            (tmp_path / "sentinel.password").write_text(content)
            (tmp_path / "routes.yaml").write_text(
                f"store: {url}/hub/0\nredis: {{sentinel_password_file: sentinel.password}}\n"
            )
            done = run(PROXYCTL, "check", *PORTS, cwd=tmp_path, env=TOKEN)
            assert done.stderr.count("\n") == 1
            assert f"{tmp_path}/sentinel.password: {wrong}" in done.stderr
        redis.kill()
        expected = "its sentinels know no master 'hub' that serves"
        assert eventually(lambda: expected in refused(f"{url}/hub/0"), 60)


@pytest.mark.parametrize("key", ["meta", "leases", "log"])
def test_a_table_of_another_program(redis: RedisServer, key: str) -> None:
    redis.ask(f"SET hubgate:{key} mine")
    line = refused(redis.url)
    assert "the keys hubgate:* are another program's" in line
    assert line.endswith("give another ?prefix=")


def test_memory(redis: RedisServer) -> None:
    redis.ask("CONFIG SET maxmemory-policy allkeys-lru")
    redis.ask("CONFIG SET maxmemory 100mb")
    code, (line,) = check(redis.url)
    assert code == 0
    assert line.startswith("warning: store: redis://")
    assert line.endswith("its maxmemory-policy is allkeys-lru; set it to noeviction")
    redis.ask("CONFIG SET maxmemory-policy noeviction")
    redis.ask("CONFIG SET maxmemory 1")
    assert refused(redis.url).endswith("is away: it has no memory left; raise its maxmemory")


def test_a_replica_of_another_redis(redis: RedisServer) -> None:
    redis.ask(f"REPLICAOF 127.0.0.1 {free_port()}")
    assert "it is a replica, and cannot be written to; name its master" in refused(redis.url)


@pytest.mark.parametrize("command", ["check", "serve"])
def test_the_packages_for_it_are_not_installed(command: str) -> None:
    args = (command, *PORTS, "--store", "redis://127.0.0.1:1")
    done = run((sys.executable, "-c", WITHOUT_REDIS), *args, env=TOKEN)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "needs more packages (No module named 'redis" in done.stderr
    assert done.stderr.endswith("pip install 'hubgate[redis]'\n")


def test_a_start_waits_for_one_that_is_not_there_yet(tmp_path: Path) -> None:
    with redis_server(tmp_path / "redis") as redis:
        redis.kill()
        with running(tmp_path, PROXYCTL, "serve", *PORTS, "--store", redis.url, env=TOKEN) as proxy:
            assert proxy.wait_for("is away: Connection refused; trying again for 15 s")
            redis.start()
            assert proxy.api_url


def test_a_start_gives_up_with_one_line(tmp_path: Path) -> None:
    args = ("serve", *PORTS, "--store", f"redis://127.0.0.1:{free_port()}")
    done = run(PROXYCTL, *args, cwd=tmp_path, env=TOKEN)
    assert done.returncode == 1
    waiting, given_up = done.stderr.splitlines()
    assert "trying again for 15 s" in waiting
    assert given_up.endswith(
        "is away: Connection refused, for 15 s; `proxyctl check` tries it as well"
    )
