"""What `ps`, `top` and `ss` call a process."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

CODE = """
import json, os, subprocess, sys
from hubgate import process_name
if "hidden" in sys.argv:
    process_name._arguments = lambda: (0, 0)
for title in sys.argv[1:]:
    process_name.name_process("hubgate-w7", title * 99 if title[0] == "z" else title)
def read(what):
    return open(f"/proc/self/{what}", "rb").read().decode()
print(json.dumps({
    "comm": read("comm"), "cmdline": read("cmdline"), "environ": "SECRET=xyzzy" in read("environ"),
    "ours": os.environ["SECRET"], "orig_argv": sys.orig_argv[-1], "executable": sys.executable,
    "child": subprocess.check_output(["printenv", "SECRET"], text=True),
}))
"""


def named(*titles: str) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-P", "-c", CODE, *titles],
        env={"SECRET": "xyzzy", "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        timeout=60,
        check=True,
    )
    found: dict[str, str] = json.loads(done.stdout)
    return found


def test_a_process_is_called_what_it_is() -> None:
    found = named("worker 7", "worker 7 127.0.0.1:8000")
    assert found["comm"] == "hubgate-w7\n"
    assert found["cmdline"].rstrip("\0") == "hubgate: worker 7 127.0.0.1:8000"


def test_nothing_else_of_it_changes() -> None:
    found = named("worker 7", "x" * 100_000)
    assert (found["environ"], found["ours"], found["child"]) == (True, "xyzzy", "xyzzy\n")
    assert (found["orig_argv"], found["executable"]) == ("x" * 100_000, sys.executable)


def test_a_title_ends_where_the_command_line_did() -> None:
    assert named("y", "z" * 1000, "short")["cmdline"].rstrip("\0") == "hubgate: short"
    found = named("z" * 1000)
    assert found["cmdline"].startswith("hubgate: zzz")
    assert found["cmdline"].endswith("\0")
    assert "SECRET=" not in found["cmdline"]


def test_where_it_is_impossible_names_stay() -> None:
    assert named("hidden")["cmdline"].startswith(f"{sys.executable}\0-P\0-c\0")
