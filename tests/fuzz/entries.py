"""The corpus: a text file for each target, one entry a line, written as Python writes bytes.

So a person can read an entry, git can diff and merge it, and no line ends in white space. The
lines are sorted: `LC_ALL=C sort -u` puts a file in order that was merged by hand.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

CORPUS = Path(__file__).with_name("corpus")


def file_of(target: str) -> Path:
    """Return where the entries of a target are kept."""
    return CORPUS / f"{target}.txt"


def numbered(file: Path) -> Iterator[tuple[str, bytes]]:
    """Yield each entry with the place where it stands, as in `request.txt:17`.

    Raises ValueError for a line that is not a bytes literal.
    """
    # Not splitlines(), which knows more ends of lines than git does.
    for number, line in enumerate(file.read_text("ascii").split("\n")[:-1], 1):
        place = f"{file.name}:{number}"
        try:
            entry = ast.literal_eval(line)
        except (SyntaxError, ValueError) as error:
            raise ValueError(f"{place}: not a bytes literal: {line[:60]}") from error
        if not isinstance(entry, bytes):
            raise ValueError(f"{place}: not a bytes literal: {line[:60]}")
        yield place, entry


def read(file: Path) -> set[bytes]:
    """Return all entries of a file, none if there is no such file yet.

    Raises ValueError for a line that is not an entry.
    """
    return {entry for _, entry in numbered(file)} if file.exists() else set()


def text(entries: Iterable[bytes]) -> str:
    """Return the one text that stands for these entries."""
    return "".join(f"{line}\n" for line in sorted({repr(entry) for entry in entries}))


def expand(file: Path, folder: Path) -> None:
    """Write each entry to a file of its own, as libFuzzer reads and names them."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in read(file):
        (folder / hashlib.sha1(entry, usedforsecurity=False).hexdigest()).write_bytes(entry)


def keep(folder: Path, file: Path) -> int:
    """Add what the files of a folder hold to the entries; return how many of them are new.

    Nothing is removed: what libFuzzer finds redundant may have been put there by hand.
    """
    before = read(file)
    after = before | {each.read_bytes() for each in folder.iterdir()}
    file.write_text(text(after), "ascii")
    return len(after) - len(before)
