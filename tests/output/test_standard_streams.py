"""Closed standard descriptors: nothing that is opened gets their numbers."""

import subprocess
import sys

import pytest

CODE = """
import os, sys
from hubgate.output.standard_streams import open_closed_streams
open_closed_streams()
fd = os.open(os.devnull, os.O_RDONLY)
print("said"), print("complained", file=sys.stderr)
same = [os.path.samestat(os.fstat(each), os.stat(os.devnull)) for each in range(3)]
kept = [os.get_inheritable(each) for each in range(3)]
with open(sys.argv[1], "w") as file:
    print(fd > 2, same, kept, sys.stdin is not None, file=file)
"""


@pytest.mark.parametrize("closed", ["", "<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"])
def test_what_is_closed_becomes_dev_null(closed: str, tmp_path: object) -> None:
    answer = f"{tmp_path}/answer"
    script = f'exec "$0" -P -c "$1" "$2" {closed}'
    done = subprocess.run(
        ["sh", "-c", script, sys.executable, CODE, answer],
        stdin=subprocess.PIPE,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    gone = ["<" in closed, any(each.startswith(">") for each in closed.split()), "2>" in closed]
    with open(answer) as file:
        assert file.read() == f"True {gone} [True, True, True] True\n"
    assert done.stdout == ("" if gone[1] else "said\n")
    assert done.stderr == ("" if gone[2] else "complained\n")
