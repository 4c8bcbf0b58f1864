"""`python -m tests.fuzz TARGET SECONDS`: let atheris look for bytes that break a promise.

What covers something new is kept in tests/fuzz/corpus/TARGET, what breaks one in build/fuzz.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["proxy"]):
    from tests.fuzz.targets import TARGETS

CORPUS = Path(__file__).with_name("corpus")
FINDINGS = Path("build/fuzz")


def main() -> None:
    """Fuzz one target for so many seconds."""
    name, seconds = sys.argv[1], int(sys.argv[2])
    corpus = CORPUS / name
    corpus.mkdir(parents=True, exist_ok=True)
    FINDINGS.mkdir(parents=True, exist_ok=True)
    target = TARGETS[name]
    arguments = [
        sys.argv[0],
        str(corpus),
        f"-max_total_time={seconds}",
        f"-artifact_prefix={FINDINGS}/{name}-",
        "-max_len=4096",
        "-rss_limit_mb=2048",
        "-print_final_stats=1",
    ]
    dictionary = Path(__file__).with_name(f"{name}.dict")
    if dictionary.exists():
        arguments.append(f"-dict={dictionary}")
    atheris.Setup(arguments, lambda data: target(data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
