"""Modules in a folder that have names we import, each of which tells if it was ever run."""

from pathlib import Path

NAMES = ("proxy", "secrets", "hubgate")


def lay(folder: Path) -> None:
    """Put the three files there. Whoever imports one leaves a mark and gets an error."""
    for name in NAMES:
        (folder / f"{name}.py").write_text(
            'open(__file__ + ".ran", "w").close()\n'
            'raise ImportError(f"{__file__} is not what was wanted")\n'
        )


def run(folder: Path) -> set[str]:
    """Return the names of those that were run."""
    return {mark.name.removesuffix(".py.ran") for mark in folder.rglob("*.ran")}
