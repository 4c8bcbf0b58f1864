"""`python -m tests.fuzz TARGET SECONDS`: let atheris look for bytes that break a promise.

What covers something new is kept in build/fuzz/corpus/TARGET, what breaks one in build/fuzz.
`python -m tests.fuzz TARGET merge` takes what adds to it into tests/fuzz/corpus/TARGET.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["hubgate"]):
    from tests.fuzz.targets import TARGETS

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
    kept, new = HERE / "corpus" / name, FINDINGS / "corpus" / name
    for folder in (kept, new):
        folder.mkdir(parents=True, exist_ok=True)
    if how == "merge":
        arguments = ["-merge=1", str(kept), str(new)]
    else:
        arguments = [f"-max_total_time={int(how)}", "-print_final_stats=1", str(new), str(kept)]
    target = TARGETS[name]
    atheris.Setup([sys.argv[0], *options(name), *arguments], lambda data: target(data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
