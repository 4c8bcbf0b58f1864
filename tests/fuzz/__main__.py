"""`python -m tests.fuzz TARGET SECONDS`: let atheris look for bytes that break a promise.

What covers something new is kept in build/fuzz/corpus/TARGET, what breaks one in build/fuzz.
`python -m tests.fuzz TARGET merge` takes what adds to it into tests/fuzz/corpus/TARGET.txt.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.fuzz.entries import expand, file_of, keep

HERE = Path(__file__).parent
FINDINGS = Path("build/fuzz")
# Two of them read the same as another one.
DICTIONARIES = {"forwarding": "request", "reuse": "response"}


def options(name: str) -> list[str]:
    """Return libFuzzer's options for a target, however long it runs."""
    given = ["-max_len=4096", "-rss_limit_mb=2048", f"-artifact_prefix={FINDINGS}/{name}-"]
    dictionary = HERE / f"{DICTIONARIES.get(name, name)}.dict"
    return [*given, f"-dict={dictionary}"] if dictionary.exists() else given


def main() -> None:
    """Fuzz one target for so many seconds, or merge what that found."""
    name, how = sys.argv[1:]
    # libFuzzer reads folders: the entries are laid out anew each time.
    kept, new = FINDINGS / "kept" / name, FINDINGS / "corpus" / name
    shutil.rmtree(kept, ignore_errors=True)
    expand(file_of(name), kept)
    new.mkdir(parents=True, exist_ok=True)
    if how == "merge":
        run(name, "-merge=1", str(kept), str(new))
        print(f"{name}: {keep(kept, file_of(name))} new entries in {file_of(name)}")
    else:
        run(name, f"-max_total_time={int(how)}", "-print_final_stats=1", str(new), str(kept))


def run(name: str, *arguments: str) -> None:
    """Run libFuzzer on a target; raises SystemExit with its exit code if it found something."""
    command = [sys.executable, "-m", "tests.fuzz.engine", name, *options(name), *arguments]
    if code := subprocess.run(command, check=False).returncode:
        raise SystemExit(code)


if __name__ == "__main__":
    main()
