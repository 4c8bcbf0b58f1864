"""`python -m tests.fuzz.engine TARGET OPTION…`: libFuzzer itself on one target, and nothing else.

A process of its own, because libFuzzer ends the process it runs in.
"""

import shlex
import sys

import atheris

with atheris.instrument_imports(include=["hubgate"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Hand the options over to libFuzzer."""
    _, name, *options = sys.argv
    target = TARGETS[name]
    # A merge starts the program again for each part of the work: libFuzzer gives the shell this
    # name of it as it stands, before the options.
    program = shlex.join([sys.executable, "-m", "tests.fuzz.engine", name])
    atheris.Setup([program, *options], lambda data: target(data))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
